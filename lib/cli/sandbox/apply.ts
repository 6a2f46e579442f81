/**
 * `sbx apply`: takes over what a sandbox changed in directories that it has copies of.
 *
 * @module
 */
import type { Command } from "commander";
import { type ApplyReport, type Change, Sandbox } from "../../mod.ts";
import { examples } from "../command.ts";
import { NO, OK } from "../exit.ts";
import { unlessSignalled } from "../given_up.ts";
import { jsonText } from "../json.ts";
import { ui } from "../ui.ts";
import { changeLine, nameOf } from "./change_text.ts";

interface Flags {
  readonly dryRun?: true;
  readonly force?: true;
  readonly includeUnsafe?: true;
  readonly digest?: string;
  readonly json?: true;
}

export function declare(command: Command): void {
  command
    .argument("<sandbox>", "its name")
    .argument("[path...]", "in the guest, or below the directory; everything without one")
    .option("--dry-run", "only tell what would be taken over")
    .option("--digest <digest>", "take over what 'sbx diff' showed with it, or nothing")
    .option("--force", "take over conflicts: what was changed here as well is lost")
    .option(
      "--include-unsafe",
      "take over files that programs here run by themselves, and links that lead out",
    )
    .option("--json", "print all of it as JSON");
  examples(command, [
    ["sbx apply dev --dry-run", "what would be taken over, and what would not"],
    ["sbx apply dev src", "what changed in src"],
    ["sbx apply dev .github/workflows/ci.yml", "a file that others run, by its name"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const { json, ...options } = command.opts<Flags>();
  const [name = "", ...paths] = command.args;
  await using sandbox = await Sandbox.get(name);
  return await unlessSignalled(async (signal) => {
    const taking = sandbox.apply({ paths, signal, ...options });
    const report = await ui.during("taking over", taking);
    if (json) ui.out(jsonText(report));
    else tellReport(report, (line) => ui.line(line));
    return isAll(report) ? OK : NO;
  });
}

/** Whether everything that was meant is here now. */
export function isAll({ held, failed }: ApplyReport): boolean {
  return held.length + failed.length === 0;
}

/** What to do about what was held back. */
interface Hints {
  /** Absent: nothing can be done any more. */
  readonly conflict?: string;
  readonly unsafe: string;
}

const HINTS: Hints = {
  conflict: "to have the guest's side of conflicts: --force",
  unsafe: "to take over what is unsafe, read it, and name it or use --include-unsafe",
};

/** `print` gets a line for each change that was made. */
export function tellReport(
  report: ApplyReport,
  print: (line: string) => void,
  hints: Hints = HINTS,
): void {
  const { applied, held, failed } = report;
  const all = [...applied, ...held, ...failed.map(({ change }) => change)];
  const named = nameOf(all);
  for (const { held: _, why: __, ...change } of applied) print(changeLine(change, named(change)));
  for (const change of held) ui.asked(`not applied: ${named(change)}: ${change.why ?? ""}`);
  for (const { change, message } of failed) {
    ui.asked(`cannot apply ${named(change)}: ${message}`);
  }
  const has = (...reasons: readonly Change["held"][]) =>
    held.some((change) => reasons.includes(change.held));
  if (has("conflict") && hints.conflict !== undefined) ui.asked(hints.conflict);
  if (has("executed", "outside")) ui.asked(hints.unsafe);
  if (all.length === 0) ui.notice("nothing changed");
}

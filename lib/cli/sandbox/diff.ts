/**
 * `sbx diff`: what a sandbox changed in directories that it has copies of.
 *
 * @module
 */
import type { Command } from "commander";
import process from "node:process";
import { plural } from "../../base/plural.ts";
import { shellWord } from "../../base/shell_word.ts";
import { type Change, Sandbox } from "../../mod.ts";
import { examples } from "../command.ts";
import { OK } from "../exit.ts";
import { unlessSignalled } from "../given_up.ts";
import { jsonText } from "../json.ts";
import { ui } from "../ui.ts";
import { changeLine, modeBeyondPatch, nameOf, statLine, totalLine } from "./change_text.ts";

interface Flags {
  readonly patch?: true;
  readonly stat?: true;
  readonly json?: true;
}

export function declare(command: Command): void {
  command
    .argument("<sandbox>", "its name")
    .argument("[path...]", "in the guest, or below the directory; everything without one")
    .option("-p, --patch", "print changed texts as a patch")
    .option("--stat", "print how many lines of each changed")
    .option("--json", "print all of it as JSON");
  examples(command, [
    ["sbx diff dev", "what was added (A), modified (M), deleted (D), made another kind (T)"],
    ["sbx diff dev -p src", "how the texts in src changed"],
    ["sbx diff dev -p | git apply --stat", "for other tools"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const { patch, stat, json } = command.opts<Flags>();
  const [name = "", ...paths] = command.args;
  await using sandbox = await Sandbox.get(name);
  return await unlessSignalled(async (signal) => {
    const texts = patch === true || stat === true;
    const comparing = sandbox.diff({ paths, patch: texts, signal });
    const { changes, digest } = await ui.during("comparing", comparing);
    if (json) {
      ui.out(jsonText({ digest, changes }));
      return OK;
    }
    const named = nameOf(changes);
    if (patch) printPatch(changes);
    else {
      for (const each of changes) {
        ui.line(stat ? statLine(each, named(each)) : changeLine(each, named(each)));
      }
    }
    if (changes.length === 0) ui.notice("nothing changed");
    else {
      const exactly = applyCommand(name, paths, digest);
      ui.notice(`${totalLine(changes)}; to take over just these: ${exactly}`);
    }
    return OK;
  });
}

/** As it is for other programs, and made safe for a terminal. */
export function printPatch(changes: readonly Change[]): void {
  const patches = changes.flatMap(({ patch }) => patch === undefined ? [] : [patch]);
  for (const patch of patches) {
    if (process.stdout.isTTY !== true) ui.out(patch);
    else ui.text(patch);
  }
  const others = changes.filter(({ patch }) => patch === undefined);
  const named = nameOf(changes);
  for (const each of others) ui.notice(`no text: ${changeLine(each, named(each))}`);
  const held = changes.filter(({ patch, held }) => patch !== undefined && held !== undefined);
  for (const each of held) ui.notice(`held back: ${named(each)}: ${each.why ?? ""}`);
  for (const each of changes) {
    const mode = each.patch === undefined ? undefined : modeBeyondPatch(each);
    if (mode !== undefined) ui.notice(`permission bits: ${named(each)}: ${mode}`);
  }
  if (others.length > 0) ui.notice(`${plural(others.length, "change")} not in the patch`);
}

/** With the same paths, as a shell takes them. */
function applyCommand(name: string, paths: readonly string[], digest: string): string {
  // What begins with a dash is no option behind two of them.
  const end = paths.some((path) => path.startsWith("-")) ? ["--"] : [];
  return ["sbx apply", name, "--digest", digest, ...end, ...paths.map(shellWord)].join(" ");
}

/**
 * `sbx doctor`: every requirement with its state and the fix.
 *
 * @module
 */
import type { Command } from "commander";
import { escapeMessage } from "../base/escape.ts";
import { doctor, type Finding, Sandbox, versions } from "../mod.ts";
import { examples } from "./command.ts";
import { reportLines } from "./doctor_report.ts";
import { NO, OK } from "./exit.ts";
import { jsonText } from "./json.ts";
import { table } from "./table.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  command.argument(
    "[guest]",
    "of Lima's: prove anew that its only network is sbx; else it is ended",
  );
  command.option("--json", "print one JSON object instead of the table");
  command.option("--report", "print it for a report of a fault, with the machine and the versions");
  command.option("--no-boot", "do not start a guest to see that one starts");
  examples(command, [
    ["sbx doctor", "what works, what does not, and how to mend it"],
    ["sbx doctor dev", "whether a guest of Lima's has no other way out"],
    ["sbx doctor --report", "facts worth pasting into a report; nothing in it is secret"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const { json, report, boot } = command.opts<{ json?: true; report?: true; boot: boolean }>();
  const [guest] = command.args;
  const looking = guest === undefined ? doctor({ boot }) : proofFindings(guest);
  const findings = await ui.during("looking", looking);
  if (report) {
    for (const line of reportLines(findings, versions())) ui.out(`${line}\n`);
  } else if (json) {
    ui.out(jsonText({ findings }));
  } else {
    ui.out(table(findings.map(row)));
    for (const { name, fix } of findings) {
      if (fix !== undefined) ui.out(`\n${name}: ${escapeMessage(fix)}\n`);
    }
  }
  return findings.some(({ state }) => state === "missing") ? NO : OK;
}

/** The proof as findings. A guest that fails it is ended by its supervisor. */
async function proofFindings(name: string): Promise<readonly Finding[]> {
  await using sandbox = await Sandbox.get(name);
  return (await sandbox.prove()).map(({ name, faults, found }) =>
    faults.length === 0
      ? { name, state: "ok", found }
      : { name, state: "missing", found: faults.join("; "), fix: "the guest was ended" }
  );
}

function row({ name, state, found }: Finding): string[] {
  const marks = {
    ok: ui.mark("good", "ok"),
    note: ui.mark("odd", "note"),
    missing: ui.mark("bad", "missing"),
  };
  return [marks[state], name, escapeMessage(found)];
}

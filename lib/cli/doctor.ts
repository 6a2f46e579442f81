/**
 * `sbx doctor`: every requirement with its state and the fix.
 *
 * @module
 */
import type { Command } from "commander";
import { examples } from "./command.ts";
import { examine, type Finding } from "./examination.ts";
import { NO, OK } from "./exit.ts";
import { table } from "./table.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  command.option("--json", "print one JSON object instead of the table");
  examples(command, [["sbx doctor", "what works, what does not, and how to mend it"]]);
}

export async function run(command: Command): Promise<number> {
  const findings = await examine();
  if (command.opts<{ json?: true }>().json) {
    ui.out(JSON.stringify({ findings }, null, 2) + "\n");
  } else {
    ui.out(table(findings.map(row)));
    for (const { name, fix } of findings) {
      if (fix !== undefined) ui.out(`\n${name}: ${fix}\n`);
    }
  }
  return findings.some(({ state }) => state === "missing") ? NO : OK;
}

function row({ name, state, found }: Finding): string[] {
  const marks = {
    ok: ui.mark("good", "ok"),
    note: ui.mark("odd", "note"),
    missing: ui.mark("bad", "missing"),
  };
  return [marks[state], name, found];
}

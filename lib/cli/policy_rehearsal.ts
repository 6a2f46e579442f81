/**
 * `sbx policy test`: the expectations written in a policy file.
 *
 * @module
 */
import type { Command } from "commander";
import { runExpectations, testLines } from "../flow/rehearse.ts";
import { NetworkPolicy } from "../mod.ts";
import { readBlockedNames } from "../sandbox/blocked_names.ts";
import { examples } from "./command.ts";
import { NO, OK } from "./exit.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  command.argument("<file>", "a policy file with `expect`");
  examples(command, [[
    "sbx policy test lan.yaml",
    "a line for each expectation; status 1 when one fails",
  ]]);
}

export async function run(command: Command): Promise<number> {
  const file = await NetworkPolicy.fromFile(command.args[0] ?? "");
  const rows = runExpectations(file, await readBlockedNames(file.dns));
  const failed = rows.filter(({ passed }) => !passed).length;
  for (const line of testLines(rows)) ui.out(`${line}\n`);
  ui.out(`${rows.length - failed} passed, ${failed} failed\n`);
  return failed > 0 ? NO : OK;
}

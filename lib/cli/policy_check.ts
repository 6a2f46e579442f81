/**
 * `sbx policy check`: is the policy valid, and does it do what it seems to?
 *
 * @module
 */
import type { Command } from "commander";
import { warnings } from "../policy/warnings.ts";
import { readBlockedNames } from "../sandbox/blocked_names.ts";
import { examples } from "./command.ts";
import { NO, OK } from "./exit.ts";
import { resolvePolicyFile } from "./policy_argument.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  command
    .argument("<policy>", "public-only, allow-all, none, or a policy file")
    .option("--strict", "status 1 when there are warnings");
  examples(command, [
    ["sbx policy check lan.yaml", "errors with line and column; warnings about shadowed rules"],
    ["sbx policy check --strict lan.yaml", "the same as a gate in continuous integration"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const argument = command.args[0] ?? "";
  const file = await resolvePolicyFile(argument);
  const blocked = await readBlockedNames(file.dns);
  const found = warnings(file.policy);
  for (const { message } of found) ui.out(`warning: ${message}\n`);
  const parts = [
    amount(file.policy.rules.length, "rule"),
    ...(blocked.size > 0 ? [amount(blocked.size, "blocked name")] : []),
    ...(file.expect.length > 0 ? [amount(file.expect.length, "expectation")] : []),
    amount(found.length, "warning"),
  ];
  ui.out(`${argument} is valid: ${parts.join(", ")}\n`);
  return command.opts<{ strict?: true }>().strict && found.length > 0 ? NO : OK;
}

function amount(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/**
 * `sbx policy check`: is the policy valid, and does it do what it seems to?
 *
 * @module
 */
import type { Command } from "commander";
import { snapshotHere } from "../api/snapshot.ts";
import { escapeText } from "../base/escape.ts";
import { plural } from "../base/plural.ts";
import { NetworkPolicy } from "../mod.ts";
import { secretFaults } from "../judge/secret_faults.ts";
import { warnings } from "../policy/decide/warnings.ts";
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
  const { secrets } = file.secrets;
  const blocked = await NetworkPolicy.blockedNames(file);
  const faults = secrets.length === 0 ? [] : secretFaults(file, await snapshotHere(file));
  const found = [
    ...warnings(file.policy).map(({ message }) => message),
    ...faults.map(({ name, host, state }) => `secret ${name} cannot be given to ${host}: ${state}`),
  ];
  for (const message of found) ui.line(`warning: ${message}`);
  const parts = [
    plural(file.policy.rules.length, "rule"),
    ...(blocked.size > 0 ? [plural(blocked.size, "blocked name")] : []),
    ...(secrets.length > 0 ? [plural(secrets.length, "secret")] : []),
    ...(file.expect.length > 0 ? [plural(file.expect.length, "expectation")] : []),
    plural(found.length, "warning"),
  ];
  ui.line(`${escapeText(argument)} is valid: ${parts.join(", ")}`);
  return command.opts<{ strict?: true }>().strict && found.length > 0 ? NO : OK;
}

/**
 * `sbx policy check`: is the policy valid, and does it do what it seems to?
 *
 * @module
 */
import type { Command } from "commander";
import { type Complaint, inSentence } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { plural } from "../base/plural.ts";
import { NetworkPolicy, type PolicyCheck, SbxError } from "../mod.ts";
import { examples } from "./command.ts";
import { NO, OK, statusOf } from "./exit.ts";
import { jsonText } from "./json.ts";
import { resolvePolicyFile } from "./policy_argument.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  command
    .argument("<policy>", "public-only, allow-all, none, or a policy file")
    .option("--strict", "status 1 when there are warnings")
    .option("--json", "print one JSON object instead of lines, for a policy with errors as well");
  examples(command, [
    ["sbx policy check lan.yaml", "errors with line and column; warnings about shadowed rules"],
    ["sbx policy check --strict lan.yaml", "the same as a gate in continuous integration"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const argument = command.args[0] ?? "";
  const { strict, json } = command.opts<{ strict?: true; json?: true }>();
  try {
    const checked = await NetworkPolicy.check(await resolvePolicyFile(argument));
    if (json) ui.out(jsonText({ policy: argument, valid: true, ...checked }));
    else for (const line of linesOf(argument, checked)) ui.line(line);
    return strict && checked.warnings.length > 0 ? NO : OK;
  } catch (error) {
    if (!json || !(error instanceof SbxError) || !IN_POLICY.has(error.code)) throw error;
    const errors = [error, ...error.others].map(complaintOf);
    ui.out(jsonText({ policy: argument, valid: false, errors }));
    return statusOf(error);
  }
}

/** Faults of the policy itself; whoever names a file that there is not has no answer coming. */
const IN_POLICY: ReadonlySet<string> = new Set(["POLICY_INVALID", "SECRET_INVALID"]);

function linesOf(argument: string, checked: PolicyCheck): string[] {
  const { rules, blockedNames, secrets, expectations, warnings } = checked;
  const parts = [
    plural(rules, "rule"),
    ...(blockedNames > 0 ? [plural(blockedNames, "blocked name")] : []),
    ...(secrets > 0 ? [plural(secrets, "secret")] : []),
    ...(expectations > 0 ? [plural(expectations, "expectation")] : []),
    plural(warnings.length, "warning"),
  ];
  return [
    ...warnings.map(({ message }) => `warning: ${message}`),
    `${escapeText(argument)} is valid: ${parts.join(", ")}`,
  ];
}

function complaintOf({ message, hint }: Complaint | SbxError): Complaint {
  return { message: inSentence({ message }), ...(hint === undefined ? {} : { hint }) };
}

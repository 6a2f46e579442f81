/**
 * `sbx policy apply`: another policy for a sandbox that runs, at once and at later starts.
 *
 * @module
 */
import type { Command } from "commander";
import { policyChangeLines, Sandbox } from "../../mod.ts";
import { examples } from "../command.ts";
import { OK } from "../exit.ts";
import { jsonText } from "../json.ts";
import { resolvePolicy } from "../policy_argument.ts";
import { ui } from "../ui.ts";

export function declare(command: Command): void {
  command
    .argument("<sandbox>", "its name")
    .argument("<policy>", "public-only, allow-all or a policy file")
    .option("--dry-run", "only tell what would change")
    .option("--json", "print the change as JSON");
  examples(command, [
    ["sbx policy apply dev work.yaml --dry-run", "what it means for rules and open flows"],
    ["sbx policy apply dev work.yaml", "all or nothing; flows that it denies are cut"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const { dryRun = false, json } = command.opts<{ dryRun?: true; json?: true }>();
  const [name = "", text = ""] = command.args;
  const policy = await resolvePolicy(text);
  await using sandbox = await Sandbox.get(name);
  const change = await sandbox.applyPolicy(policy, { dryRun });
  if (json) ui.out(jsonText(change));
  else {
    for (const line of policyChangeLines(change)) ui.line(line);
    for (const warning of change.warnings) ui.notice(`warning: ${warning}`);
  }
  return OK;
}

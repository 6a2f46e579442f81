/**
 * `sbx inspect`: all that is known of a sandbox, as JSON.
 *
 * @module
 */
import type { Command } from "commander";
import { Sandbox } from "../../mod.ts";
import { examples } from "../command.ts";
import { OK } from "../exit.ts";
import { jsonText } from "../json.ts";
import { ui } from "../ui.ts";

export function declare(command: Command): void {
  command.argument("<sandbox>", "its name");
  examples(command, [
    ["sbx inspect dev", "how it stands, and what it was created with"],
    ["sbx inspect dev | jq .spec.policy > dev.json", "its policy, as a policy file"],
  ]);
}

export async function run(command: Command): Promise<number> {
  await using sandbox = await Sandbox.get(command.args[0] ?? "");
  const info = await sandbox.info();
  ui.out(jsonText({ ...info, ...await sandbox.description() }));
  return OK;
}

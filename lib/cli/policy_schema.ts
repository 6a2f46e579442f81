/**
 * `sbx policy schema`: the JSON Schema of policy files, for editors.
 *
 * @module
 */
import type { Command } from "commander";
import { policyJsonSchema } from "../policy/file/schema.ts";
import { examples } from "./command.ts";
import { OK } from "./exit.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  examples(command, [
    ["sbx policy schema > sbx-policy.schema.json", "save it where your editor looks for schemas"],
  ]);
}

export function run(_command: Command): Promise<number> {
  ui.out(JSON.stringify(policyJsonSchema(), null, 2) + "\n");
  return Promise.resolve(OK);
}

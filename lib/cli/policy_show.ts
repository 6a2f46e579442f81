/**
 * `sbx policy show`: a policy as sbx understands it.
 *
 * @module
 */
import type { Command } from "commander";
import { isShowable } from "../base/escape.ts";
import { examples } from "./command.ts";
import { OK } from "./exit.ts";
import { jsonText } from "./json.ts";
import { resolvePolicyFile } from "./policy_argument.ts";
import { policyValue } from "../policy/file/spell_file.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  command
    .argument("<policy>", "public-only, allow-all, none, or a policy file")
    .option("--long", "spell every rule out as an object instead of one line")
    .option("--json", "print JSON instead of YAML");
  examples(command, [
    ["sbx policy show public-only", "the rules behind a preset"],
    ["sbx policy show --long --json lan.yaml", "a file with every field spelled out"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const { long, json } = command.opts<{ long?: true; json?: true }>();
  const file = await resolvePolicyFile(command.args[0] ?? "");
  const value = policyValue(file, long ? "objects" : "lines");
  const text = json ? null : await yaml(value);
  // JSON is YAML, too, and has a spelling for what a terminal must not see.
  ui.out(
    text !== null && isShowable(text) ? text : jsonText(value),
  );
  return OK;
}

async function yaml(value: unknown): Promise<string> {
  const { stringify } = await import("yaml");
  return stringify(value, { lineWidth: 0 });
}

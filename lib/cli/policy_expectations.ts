/**
 * `sbx policy test`: the expectations written in a policy file.
 *
 * @module
 */
import type { Command } from "commander";
import { escapeText } from "../base/escape.ts";
import { testLines } from "../judge/expectations.ts";
import { NetworkPolicy, type PolicyFile, SbxError } from "../mod.ts";
import { presetNamed } from "../policy/model/presets.ts";
import { examples } from "./command.ts";
import { NO, NOTHING_CHECKED, OK } from "./exit.ts";
import { jsonText } from "./json.ts";
import { resolvePolicyFile } from "./policy_argument.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  command.argument("<file>", "a policy file with 'expect'")
    .option("--json", "print one JSON object instead of lines");
  examples(command, [[
    "sbx policy test lan.yaml",
    "a line for each expectation; status 1 when one fails, 5 when there are none",
  ]]);
}

/** @throws SbxError for a preset, and for what is none and no policy file */
async function fileWithExpectations(path: string): Promise<PolicyFile> {
  if (presetNamed(path) === null) return await resolvePolicyFile(path);
  throw new SbxError("USAGE", `Cannot test policy ${path}: a preset has no expectations`, {
    hint: `make a file of it, for them to stand in: 'sbx policy show ${path} > my.yaml'`,
  });
}

export async function run(command: Command): Promise<number> {
  const [path = ""] = command.args;
  const file = await fileWithExpectations(path);
  const rows = await NetworkPolicy.test(file);
  const failed = rows.filter(({ passed }) => !passed).length;
  const passed = rows.length - failed;
  const { json } = command.opts<{ json?: true }>();
  if (json) ui.out(jsonText({ policy: path, passed, failed, expectations: rows }));
  if (rows.length === 0) {
    ui.error({
      message: `nothing was checked: ${escapeText(path)} has no expectations`,
      hint: "add them below 'expect:', like - allow tcp api.example.com:443",
    });
    return NOTHING_CHECKED;
  }
  if (!json) {
    for (const line of testLines(rows)) ui.line(line);
    ui.out(`${passed} passed, ${failed} failed\n`);
  }
  return failed > 0 ? NO : OK;
}

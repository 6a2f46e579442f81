/**
 * `sbx version`: what this binary is made of.
 *
 * @module
 */
import type { Command } from "commander";
import { buildInfo } from "../host/build_info.ts";
import { examples } from "./command.ts";
import { OK } from "./exit.ts";
import { table } from "./table.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  command.option("--json", "print one JSON object");
  examples(command, [[
    "sbx version",
    "sbx, its runtime, its network stack and the guest's kernel",
  ]]);
}

export function run(command: Command): Promise<number> {
  const info = buildInfo();
  ui.out(
    command.opts<{ json?: true }>().json
      ? JSON.stringify(info, null, 2) + "\n"
      : table(Object.entries(info)),
  );
  return Promise.resolve(OK);
}

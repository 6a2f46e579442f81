/**
 * `sbx __unpack NAME`: where a file is, as JSON, that sbx carries; asked by the library that npm installs beside it.
 *
 * @module
 */
import type { Command } from "commander";
import { carriedFile } from "../api/carried_file.ts";
import { OK } from "./exit.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  command.argument("<name>");
}

export async function run(command: Command): Promise<number> {
  ui.out(`${JSON.stringify(await carriedFile(command.args[0] ?? ""))}\n`);
  return OK;
}

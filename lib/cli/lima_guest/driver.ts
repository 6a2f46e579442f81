/**
 * `sbx lima-guest driver`: the path of the program that Lima's driver is.
 *
 * @module
 */
import type { Command } from "commander";
import { limaDriver } from "../../api/lima.ts";
import { OK } from "../exit.ts";
import { ui } from "../ui.ts";

export function declare(_command: Command): void {}

export async function run(): Promise<number> {
  ui.out(`${await limaDriver((line) => ui.notice(line))}\n`);
  return OK;
}

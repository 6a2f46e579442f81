/**
 * `sbx lima driver`: puts Lima's driver in place for who uses limactl itself.
 *
 * @module
 */
import type { Command } from "commander";
import { installLimaDriver } from "../../api/lima.ts";
import { examples } from "../command.ts";
import { OK } from "../exit.ts";
import { ui } from "../ui.ts";

export function declare(command: Command): void {
  examples(command, [
    ['export LIMA_DRIVERS_PATH="$(sbx lima driver)"', "limactl start then takes vmType: sbx"],
  ]);
}

export async function run(): Promise<number> {
  ui.line(await installLimaDriver());
  return OK;
}

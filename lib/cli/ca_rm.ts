/**
 * `sbx ca rm`: no authority is kept any more.
 *
 * @module
 */
import type { Command } from "commander";
import { CertificateAuthority } from "../mod.ts";
import { examples } from "./command.ts";
import { OK } from "./exit.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  examples(command, [["sbx ca rm", "from now on each sandbox makes its own"]]);
}

export async function run(): Promise<number> {
  const removed = await CertificateAuthority.remove();
  ui.notice(removed ? "the authority is gone" : "no authority was kept");
  return OK;
}

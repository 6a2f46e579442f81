/**
 * `sbx version`: what this binary is made of.
 *
 * @module
 */
import type { Command } from "commander";
import { licences as readLicences, versions } from "../mod.ts";
import { examples } from "./command.ts";
import { OK } from "./exit.ts";
import { table } from "./table.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  command.option("--json", "print one JSON object");
  command.option("--licences", "print the licences of all that this file carries");
  examples(command, [
    ["sbx version", "sbx, its runtime, its network stack and the guest's kernel"],
    ["sbx version --licences | less", "whose work they are, and where the kernel's source is"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const { json, licences } = command.opts<{ json?: true; licences?: true }>();
  if (licences) {
    ui.out(await readLicences());
    return OK;
  }
  const info = versions();
  ui.out(json ? JSON.stringify(info, null, 2) + "\n" : table(Object.entries(info)));
  return OK;
}

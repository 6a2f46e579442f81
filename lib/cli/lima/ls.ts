/**
 * `sbx lima ls`: the guests of Lima's that are sbx's.
 *
 * @module
 */
import type { Command } from "commander";
import type { ListedInstance } from "../../api/lima.ts";
import { escapeJson, escapeText } from "../../base/escape.ts";
import { examples } from "../command.ts";
import { OK } from "../exit.ts";
import { ownInstances } from "./instances.ts";
import { table } from "../table.ts";
import { ui } from "../ui.ts";

export function declare(command: Command): void {
  command.option("--json", "print one JSON array");
  examples(command, [["sbx lima ls", "names, and which run"]]);
}

export async function run(command: Command): Promise<number> {
  const own = await ownInstances();
  if (command.opts<{ json?: true }>().json) {
    ui.out(`${escapeJson(JSON.stringify(own, null, 2))}\n`);
  } else if (own.length > 0) {
    ui.out(table([["name", "status", "ssh", "directory"], ...own.map(rowOf)]));
  } else ui.notice("there is no guest: make one with 'sbx lima start NAME TEMPLATE'");
  return OK;
}

function rowOf({ name, status, dir, sshLocalPort }: ListedInstance): readonly string[] {
  const ssh = sshLocalPort === 0 ? "-" : `127.0.0.1:${sshLocalPort}`;
  return [escapeText(name), escapeText(status), ssh, escapeText(dir)];
}

/**
 * `sbx template prune`: removes the templates that were used the longest ago.
 *
 * @module
 */
import type { Command } from "commander";
import { plural } from "../base/plural.ts";
import { Templates } from "../mod.ts";
import { examples } from "./command.ts";
import { OK } from "./exit.ts";
import { ui } from "./ui.ts";
import { parseMemory } from "./values.ts";

export function declare(command: Command): void {
  command.option("--keep <size>", "as many as fit into this (default 0: none)", parseMemory);
  examples(command, [
    ["sbx template prune", "all of them; the next runs make them again"],
    ["sbx template prune --keep 500M", "those that were used last stay"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const { keep = 0 } = command.opts<{ readonly keep?: number }>();
  const gone = await Templates.prune(keep * 2 ** 20);
  ui.notice(`${plural(gone.length, "template")} removed`);
  return OK;
}

/**
 * `sbx template ls`: what is kept for guests to go on from.
 *
 * @module
 */
import type { Command } from "commander";
import { escapeMessage } from "../base/escape.ts";
import { type KeptTemplate, Templates } from "../mod.ts";
import { examples } from "./command.ts";
import { OK } from "./exit.ts";
import { jsonText } from "./json.ts";
import { table } from "./table.ts";
import { ui } from "./ui.ts";

/** As much of a key as is shown, and as `sbx template rm` takes. */
export const SHOWN_KEY = 12;

export function declare(command: Command): void {
  command.option("--json", "print one JSON array");
  examples(command, [["sbx template ls", "each with its size, and when it was last used"]]);
}

export async function run(command: Command): Promise<number> {
  const kept = await Templates.list();
  if (command.opts<{ json?: true }>().json) {
    ui.out(jsonText(kept));
  } else if (kept.length > 0) {
    const title = [
      "template",
      "cpus",
      "memory",
      "network",
      "root",
      "on disk",
      "last used",
      "made by",
    ];
    ui.out(table([title, ...kept.map(rowOf)]));
  } else {
    ui.notice("no template is kept: 'sbx template build' makes one, and so does 'sbx run'");
  }
  return OK;
}

function rowOf({ key, manifest, bytes, usedAt }: KeptTemplate): readonly string[] {
  const { size, build } = manifest ?? {};
  const known = size === undefined ? ["?", "?", "?", "?"] : [
    String(size.cpus),
    `${size.memoryMiB}M`,
    size.network ? "yes" : "no",
    size.root ? "this machine's" : "later",
  ];
  return [
    key.slice(0, SHOWN_KEY),
    ...known,
    `${Math.ceil(bytes / 2 ** 20)}M`,
    new Date(usedAt).toISOString().replace(/\.\d+Z$/, "Z"),
    build === undefined ? "cannot be used" : `sbx ${escapeMessage(build)}`,
  ];
}

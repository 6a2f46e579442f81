/**
 * `sbx secret ls`: which values are kept, and where; never the values.
 *
 * @module
 */
import type { Command } from "commander";
import { escapeMessage } from "../base/escape.ts";
import { SecretStore, type StoredSecret } from "../mod.ts";
import { examples } from "./command.ts";
import { OK } from "./exit.ts";
import { table } from "./table.ts";
import { jsonText } from "./json.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  command
    .option("--json", "print one JSON array")
    .option("-q, --quiet", "print the names alone");
  examples(command, [
    ["sbx secret ls", "names, where each value is kept, and since when"],
    ["sbx secret ls --quiet", "one name a line"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const { json, quiet } = command.opts<{ json?: true; quiet?: true }>();
  if (quiet) ui.quiet();
  const secrets = await SecretStore.list();
  if (json) ui.out(jsonText(secrets.map(valueOf)));
  else if (quiet) { for (const { name } of secrets) ui.line(name); }
  else if (secrets.length > 0) ui.out(table([["name", "kept in", "since"], ...secrets.map(rowOf)]));
  else ui.notice("no secret is kept: keep one with 'sbx secret set NAME'");
  return OK;
}

function valueOf({ name, keptIn, since, path }: StoredSecret): object {
  return { name, keptIn, since, ...(keptIn === "file" ? { path } : {}) };
}

function rowOf({ name, keptIn, since, path }: StoredSecret): readonly string[] {
  return [
    name,
    keptIn === "file" ? escapeMessage(path) : "keychain",
    since.toISOString().replace(/\.\d+Z$/, "Z"),
  ];
}

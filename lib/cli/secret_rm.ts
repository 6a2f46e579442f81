/**
 * `sbx secret rm`: a value is kept no more.
 *
 * @module
 */
import type { Command } from "commander";
import { SbxError, SecretStore } from "../mod.ts";
import { examples } from "./command.ts";
import { OK } from "./exit.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  command
    .argument("<name...>", "as it was set")
    .option("-q, --quiet", "print nothing but errors");
  examples(command, [
    ["sbx secret rm GITHUB_TOKEN", "from now on, requests of sandboxes that use it are refused"],
  ]);
}

export async function run(command: Command): Promise<number> {
  if (command.opts<{ quiet?: true }>().quiet) ui.quiet();
  const missing: string[] = [];
  for (const name of new Set(command.args)) {
    if (await SecretStore.remove(name)) ui.notice(`${name} is gone`);
    else missing.push(name);
  }
  if (missing.length === 0) return OK;
  throw new SbxError(
    "SECRET_UNAVAILABLE",
    `Cannot remove ${missing.join(", ")}: no value is kept under ${
      missing.length === 1 ? "that name" : "these names"
    }`,
    { hint: "'sbx secret ls' says what is kept" },
  );
}

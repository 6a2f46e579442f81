/**
 * `sbx template rm`: a template is kept no more.
 *
 * @module
 */
import type { Command } from "commander";
import { escapeText } from "../base/escape.ts";
import { SbxError, Templates } from "../mod.ts";
import { examples } from "./command.ts";
import { OK } from "./exit.ts";
import { SHOWN_KEY } from "./template_ls.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  command.argument("<template...>", "as 'sbx template ls' has it, or what it begins with");
  examples(command, [["sbx template rm 3f2a9c0d1e4b", "guests that run are not disturbed"]]);
}

export async function run(command: Command): Promise<number> {
  const kept = (await Templates.list()).map(({ key }) => key);
  const chosen = command.args.map((name) => keyOf(name, kept)); // all, before one goes
  for (const key of new Set(chosen)) {
    await Templates.remove(key);
    ui.notice(`${key.slice(0, SHOWN_KEY)} is gone`);
  }
  return OK;
}

function keyOf(name: string, kept: readonly string[]): string {
  const [key, other] = kept.filter((each) => name !== "" && each.startsWith(name));
  if (key !== undefined && other === undefined) return key;
  const state = key === undefined ? "no template begins so" : "several templates begin so";
  throw new SbxError("USAGE", `Cannot remove template ${escapeText(name)}: ${state}`, {
    hint: "'sbx template ls' says what is kept",
  });
}

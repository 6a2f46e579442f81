/**
 * `sbx __complete -- WORD…`: what may end a command line. Asked by the shells' scripts, which are of the
 * same sbx, so that its output may change with them: a candidate a line, after a tab what it means; last
 * a colon and the place whose names fit, too.
 *
 * @module
 */
import type { Command } from "commander";
import { complete } from "./completion_words.ts";
import { OK } from "./exit.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  command.argument("[word...]").passThroughOptions();
}

export function run(command: Command): Promise<number> {
  const { candidates, place } = complete(command.parent ?? command, command.args);
  for (const { word, meaning = "" } of candidates) ui.out(`${word}\t${meaning}\n`);
  ui.out(`:${place}\n`);
  return Promise.resolve(OK);
}

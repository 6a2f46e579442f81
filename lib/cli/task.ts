/**
 * `sbx __task NAME`: does something for a program that uses the library in a runtime which cannot; its arguments are
 * JSON on standard input, and so is the answer on standard output.
 *
 * @module
 */
import type { Command } from "commander";
import process from "node:process";
import { text } from "node:stream/consumers";
import { runTask } from "../api/tasks.ts";
import { failureOf } from "../base/failure.ts";
import { SbxError } from "../mod.ts";
import { OK } from "./exit.ts";
import { unlessSignalled } from "./given_up.ts";
import { ui } from "./ui.ts";

export function declare(command: Command): void {
  command.argument("<name>");
}

export async function run(command: Command): Promise<number> {
  const args = JSON.parse(await text(process.stdin));
  return await unlessSignalled(async (signal) => {
    const work = runTask(command.args[0] ?? "", args, signal);
    ui.out(`${JSON.stringify(await work.then((ok) => ({ ok }), told))}\n`);
    return OK;
  });
}

function told(error: unknown) {
  if (!(error instanceof SbxError)) throw error;
  return { error: failureOf(error) };
}

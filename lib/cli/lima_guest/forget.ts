/**
 * `sbx lima-guest forget`: an instance of Lima's that is about to be removed.
 *
 * @module
 */
import type { Command } from "commander";
import process from "node:process";
import { text } from "node:stream/consumers";
import { forgetLima, placeOf, readInstance } from "../../api/lima.ts";
import { answering } from "./events.ts";

export function declare(_command: Command): void {}

export async function run(): Promise<number> {
  return await answering(async () => {
    await forgetLima(placeOf(readInstance(JSON.parse(await text(process.stdin)))));
    return { event: "accepted" };
  });
}

/**
 * `sbx lima-guest forget`: an instance of Lima's that is about to be removed.
 *
 * @module
 */
import type { Command } from "commander";
import { forgetLima, placeOf, readInstance } from "../../api/lima.ts";
import { answering } from "./events.ts";
import { givenInstance } from "./given.ts";

export function declare(_command: Command): void {}

export async function run(): Promise<number> {
  return await answering(async () => {
    await forgetLima(placeOf(readInstance(await givenInstance())));
    return { event: "accepted" };
  });
}

/**
 * `sbx lima-guest check`: whether an instance of Lima's may run.
 *
 * @module
 */
import type { Command } from "commander";
import { checkInstance, readInstance } from "../../api/lima.ts";
import { answering } from "./events.ts";
import { givenInstance } from "./given.ts";
import { settingsOf } from "./settings.ts";

export function declare(_command: Command): void {}

export async function run(): Promise<number> {
  return await answering(async () => {
    const instance = readInstance(await givenInstance());
    checkInstance(instance);
    await settingsOf(instance);
    return { event: "accepted" };
  });
}

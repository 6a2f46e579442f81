/**
 * `sbx lima-guest configure`: an instance of Lima's, with what a guest of sbx needs.
 *
 * @module
 */
import type { Command } from "commander";
import { configureInstance, readInstance } from "../../api/lima.ts";
import { answering } from "./events.ts";
import { givenInstance } from "./given.ts";
import { settingsOf } from "../lima/network.ts";

export function declare(_command: Command): void {}

export async function run(): Promise<number> {
  return await answering(async () => {
    const given = await givenInstance();
    const { network } = await settingsOf(readInstance(given));
    return { event: "configured", instance: await configureInstance(given, network) };
  });
}

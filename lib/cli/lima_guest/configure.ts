/**
 * `sbx lima-guest configure`: an instance of Lima's, with what a guest of sbx needs.
 *
 * @module
 */
import type { Command } from "commander";
import {
  configureInstance,
  configureOwn,
  ownDriverLog,
  ownDriverOf,
  readInstance,
  sourceVariablesOf,
} from "../../api/lima.ts";
import { answering, DRIVER_LOG } from "./events.ts";
import { givenInstance } from "./given.ts";
import { settingsOf } from "./settings.ts";

export function declare(_command: Command): void {}

/** Of a guest that Lima's own drivers run Lima reads the yaml. */
export async function run(): Promise<number> {
  let log = DRIVER_LOG;
  return await answering(async () => {
    const given = await givenInstance();
    const instance = readInstance(given);
    const isOwn = ownDriverOf(instance) !== undefined;
    if (isOwn) log = ownDriverLog(instance.dir);
    const { network } = await settingsOf(instance);
    if (!isOwn) return { event: "configured", instance: await configureInstance(given, network) };
    await configureOwn(instance.dir, network);
    return { event: "configured", variables: network.secrets.secrets.flatMap(sourceVariablesOf) };
  }, () => log);
}

/**
 * `sbx lima rm`: removes a guest of Lima's, with its disk.
 *
 * @module
 */
import type { Command } from "commander";
import { examples } from "../command.ts";
import { OK } from "../exit.ts";
import {
  findInstance,
  limactlOf,
  removeInstance,
  removeLeftover,
  requireInstance,
} from "./instances.ts";

export function declare(command: Command): void {
  command.argument("<name>", "of the guest")
    .option("-f, --force", "also when it runs");
  examples(command, [["sbx lima rm dev", "the guest and its disk are gone"]]);
}

export async function run(command: Command): Promise<number> {
  const [name = ""] = command.args;
  const { force } = command.opts<{ force?: true }>();
  const hadLeftover = await removeLeftover(name);
  const limactl = await limactlOf(name);
  if (hadLeftover && await findInstance(limactl, name) === undefined) return OK;
  return await removeInstance(limactl, await requireInstance(limactl, name), force === true);
}

/**
 * `sbx lima rm`: removes a guest of Lima's, with its disk.
 *
 * @module
 */
import type { Command } from "commander";
import { Limactl } from "../../api/lima.ts";
import { examples } from "../command.ts";
import { requireInstance } from "./instances.ts";

export function declare(command: Command): void {
  command.argument("<name>", "of the guest")
    .option("-f, --force", "also when it runs");
  examples(command, [["sbx lima rm dev", "the guest and its disk are gone"]]);
}

export async function run(command: Command): Promise<number> {
  const [name = ""] = command.args;
  const { force } = command.opts<{ force?: true }>();
  const limactl = await Limactl.open();
  await requireInstance(limactl, name);
  return await limactl.run("delete", ...(force ? ["--force"] : []), name);
}

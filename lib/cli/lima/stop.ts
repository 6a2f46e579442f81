/**
 * `sbx lima stop`: powers a guest of Lima's down, or off.
 *
 * @module
 */
import type { Command } from "commander";
import { hasUsernetHome } from "../../api/lima.ts";
import { examples } from "../command.ts";
import { OK } from "../exit.ts";
import { limactlOf, requireInstance } from "./instances.ts";

export function declare(command: Command): void {
  command.argument("<name>", "of the guest")
    .option("-f, --force", "end it at once");
  examples(command, [
    ["sbx lima stop dev", "the guest shuts down, and is ended when it does not"],
    ["sbx lima stop --force dev", "what it had not written is lost"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const [name = ""] = command.args;
  const { force } = command.opts<{ force?: true }>();
  const limactl = await limactlOf(name);
  await requireInstance(limactl, name);
  const status = await limactl.run("stop", ...(force ? ["--force"] : []), name);
  if (status === OK || !hasUsernetHome(name)) return status;
  // Lima also wants to stop the guest's network, which ends with the guest by itself.
  return (await requireInstance(limactl, name)).status === "Stopped" ? OK : status;
}

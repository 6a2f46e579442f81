/**
 * `sbx lima stop`: powers a guest of Lima's down, or off.
 *
 * @module
 */
import type { Command } from "commander";
import { SbxError } from "../../mod.ts";
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
  const { status: before } = await requireInstance(limactl, name);
  if (before === STOPPED && !force) {
    throw new SbxError("USAGE", `Cannot stop ${name}: it does not run`, {
      hint: `'sbx lima stop --force ${name}' removes what it may have left`,
    });
  }
  if (await limactl.run("stop", ...(force ? ["--force"] : []), name) === OK) return OK;
  const { status } = await requireInstance(limactl, name);
  const state = status === STOPPED ? "the guest has stopped" : `Lima has it as ${status}`;
  throw new SbxError(
    "LIMA_INSTANCE",
    `Cannot stop ${name}: limactl failed, and says why; ${state}`,
    status === STOPPED || force ? {} : { hint: `end it with 'sbx lima stop --force ${name}'` },
  );
}

/** As Lima has it. */
const STOPPED = "Stopped";

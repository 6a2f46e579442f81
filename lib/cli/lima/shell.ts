/**
 * `sbx lima shell`: a shell, or one command, in a guest of Lima's.
 *
 * @module
 */
import type { Command } from "commander";
import { examples } from "../command.ts";
import { limactlOf, requireInstance } from "./instances.ts";

export function declare(command: Command): void {
  command.argument("<name>", "of the guest")
    .argument("[command...]", "what to run; its own options need no quoting")
    .option("-w, --workdir <dir>", "directory in the guest to start in")
    .passThroughOptions();
  examples(command, [
    ["sbx lima shell dev", "a shell"],
    ["sbx lima shell dev uname -a", "one command"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const [name = "", ...words] = command.args;
  // This machine's directory is none of the guest's, and Lima would try to enter it.
  const { workdir = "/" } = command.opts<{ workdir?: string }>();
  const limactl = await limactlOf(name);
  await requireInstance(limactl, name);
  return await limactl.run("shell", `--workdir=${workdir}`, name, ...words);
}

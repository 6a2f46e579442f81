/**
 * `sbx fork`: another sandbox, which goes on from a copy of one's disk.
 *
 * @module
 */
import type { Command } from "commander";
import { Sandbox } from "../../mod.ts";
import { examples } from "../command.ts";
import { OK } from "../exit.ts";
import { unlessSignalled } from "../given_up.ts";
import { startNotice } from "../start_notice.ts";
import { ui } from "../ui.ts";

export function declare(command: Command): void {
  command
    .argument("<sandbox>", "its name; it may run")
    .argument("[name]", "that of the fork; without one it is found, and printed")
    .option("--no-start", "only write it down, for 'sbx start'");
  examples(command, [
    ["sbx fork dev try", "the same files, policy and settings, apart from then on"],
    ['sbx exec "$(sbx fork dev)" -- npm test', "one whose name nobody has to think of"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const [name = "", fork] = command.args;
  const { start } = command.opts<{ start: boolean }>();
  return await unlessSignalled(async (signal) => {
    await using sandbox = await Sandbox.get(name);
    const forking = sandbox.fork(fork, { start, signal, onNotice: startNotice(true) });
    await using made = await ui.during(`forking ${name}`, forking);
    ui.line(made.name);
    return OK;
  });
}

/**
 * `sbx ssh-config`: blocks of ssh_config(5), for `~/.ssh/config` or a file that it includes.
 *
 * @module
 */
import type { Command } from "commander";
import { Sandbox, sshConfigText } from "../../mod.ts";
import { examples } from "../command.ts";
import { OK } from "../exit.ts";
import { ui } from "../ui.ts";

export function declare(command: Command): void {
  command.argument("[sandbox...]", "their names; all of them when absent");
  examples(command, [
    ["sbx ssh-config dev >> ~/.ssh/config", "from then on: ssh dev.sbx, scp, sftp, rsync, editors"],
    ["ssh -F <(sbx ssh-config dev) dev.sbx", "the same, and nothing is kept"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const names = command.args.length > 0
    ? command.args
    : (await Sandbox.list()).map(({ name }) => name);
  const blocks: string[] = [];
  for (const name of names) {
    await using sandbox = await Sandbox.get(name);
    blocks.push(sshConfigText(await sandbox.ssh.config()));
  }
  ui.out(blocks.join("\n"));
  return OK;
}

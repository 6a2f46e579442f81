/**
 * `sbx __ssh NAME [USER]`: ssh's ProxyCommand. One connection on the standard streams.
 *
 * @module
 */
import type { Command } from "commander";
import { Sandbox } from "../../mod.ts";
import type { CommandHost } from "../command.ts";
import { converse } from "../converse.ts";
import { Signals } from "../signals.ts";

export function declare(command: Command): void {
  command.argument("<sandbox>").argument("[user]");
}

export async function run(command: Command, host: CommandHost): Promise<number> {
  const [name = "", user] = command.args;
  await using sandbox = await Sandbox.get(name);
  const child = await sandbox.ssh.connect(user === undefined ? {} : { user });
  const signals = new Signals();
  try {
    return await converse({ exec: () => child }, [], { tty: false }, signals, host);
  } finally {
    signals.release();
  }
}

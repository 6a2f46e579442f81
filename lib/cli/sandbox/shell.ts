/**
 * `sbx shell`: a shell in a sandbox that runs.
 *
 * @module
 */
import type { Command } from "commander";
import { Sandbox } from "../../mod.ts";
import { type CommandHost, examples } from "../command.ts";
import { converse } from "../converse.ts";
import { RUN_STATUSES } from "../exit.ts";
import { Signals } from "../signals.ts";
import { declareExecFlags, type ExecFlags, execOptions } from "./exec_flags.ts";

/** The login shell of whoever it is for, or the one that every system has. */
const SHELL = [
  "sh",
  "-c",
  'exec "$(getent passwd "$(id -u)" | cut -d: -f7 | grep . || echo /bin/sh)"',
];

export function declare(command: Command): void {
  command.argument("<sandbox>", "its name");
  declareExecFlags(command);
  examples(command, [["sbx shell dev", "until exit, or Ctrl-D"]]);
  command.addHelpText("after", `\n${RUN_STATUSES}`);
}

export async function run(command: Command, host: CommandHost): Promise<number> {
  const flags = command.opts<ExecFlags>();
  await using sandbox = await Sandbox.get(command.args[0] ?? "");
  const options = await execOptions(flags, host);
  const signals = new Signals();
  try {
    return await converse(sandbox, SHELL, flags, signals, host, options);
  } finally {
    signals.release();
  }
}

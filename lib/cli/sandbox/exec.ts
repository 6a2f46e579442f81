/**
 * `sbx exec`: a command in a sandbox that runs, as if it ran here.
 *
 * @module
 */
import type { Command } from "commander";
import { quote } from "../../base/escape.ts";
import { Sandbox, SbxError } from "../../mod.ts";
import { type CommandHost, examples } from "../command.ts";
import { converse } from "../converse.ts";
import { OK, RUN_STATUSES } from "../exit.ts";
import { Signals } from "../signals.ts";
import { ui } from "../ui.ts";
import { declareExecFlags, type ExecFlags, execOptions } from "./exec_flags.ts";

export function declare(command: Command): void {
  command
    .argument("<sandbox>", "its name")
    .argument("[command...]", "what to run; its own options need no quoting")
    .passThroughOptions()
    .option(
      "-d, --detach",
      "leave it running and print the number of its job; see sbx ps and attach",
    );
  declareExecFlags(command);
  examples(command, [
    ["sbx exec dev -- npm test", "with this terminal, these streams and signals"],
    ["sbx exec -d dev -- make all", "to be looked at later: sbx attach dev --job 1"],
  ]);
  command.addHelpText("after", `\n${RUN_STATUSES}`);
}

export async function run(command: Command, host: CommandHost): Promise<number> {
  const flags = command.opts<ExecFlags>();
  const [name = "", ...given] = command.args;
  const argv = given[0] === "--" ? given.slice(1) : given;
  if (given[0]?.startsWith("-") && given[0] !== "--") {
    throw new SbxError("USAGE", `Cannot run in sandbox ${name}: ${quote(given[0])} is no command`, {
      hint: `options stand before the name; a command like that after --: sbx exec ${name} -- …`,
    });
  }
  if (argv.length === 0) {
    throw new SbxError("USAGE", `Cannot run in sandbox ${name}: no command given`, {
      hint: `put it after the name: sbx exec ${name} -- uname -a`,
    });
  }
  await using sandbox = await Sandbox.get(name);
  const options = await execOptions(flags, host);
  if (flags.detach) {
    const { id } = await sandbox.startJob(argv, {
      ...options,
      stdin: flags.interactive === true,
      ...(flags.tty === true ? { tty: { columns: 80, rows: 24, term: "xterm-256color" } } : {}),
    });
    ui.line(id);
    return OK;
  }
  const signals = new Signals();
  try {
    return await converse(sandbox, argv, flags, signals, host, options);
  } finally {
    signals.release();
  }
}

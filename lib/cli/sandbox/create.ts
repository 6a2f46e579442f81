/**
 * `sbx create`: writes a sandbox down, to be started when it is wanted.
 *
 * @module
 */
import type { Command } from "commander";
import { SbxError } from "../../base/errors.ts";
import { quote } from "../../base/escape.ts";
import { type CommandHost, examples } from "../command.ts";
import { OK } from "../exit.ts";
import { declareRunFlags, runFlags } from "../run_flags.ts";
import { sandboxOf } from "../run_setup.ts";
import { unlessSignalled } from "../given_up.ts";
import { isSeparated } from "../misplaced.ts";
import { ui } from "../ui.ts";
import { lifeOf } from "./detached_run.ts";

export function declare(command: Command): void {
  command.argument("[command...]", "what it is for; without one it runs until it is stopped")
    .passThroughOptions();
  declareRunFlags(command, "create");
  examples(command, [
    [
      "sbx create -n dev -v .:/work -w /work --policy public-only",
      "a sandbox for commands to come",
    ],
    ["sbx start dev && sbx exec dev -- npm test", "start it, and run one in it"],
  ]);
}

export async function run(command: Command, host: CommandHost): Promise<number> {
  const flags = runFlags(command);
  if (flags.quiet) ui.quiet();
  const argv = command.args;
  requireSeparated(command);
  const builder = await sandboxOf(flags, host, argv[0]);
  // The copy of a snapshot's disk may take its time.
  return await unlessSignalled(async (signal) => {
    await using sandbox = await builder.createDetached({
      ...lifeOf(flags),
      start: false,
      signal,
      ...(argv.length === 0
        ? {}
        : { main: { argv, tty: flags.tty === true, stdin: flags.interactive === true } }),
    });
    ui.line(sandbox.name);
    return OK;
  });
}

/** `create` of other tools takes a name there, and what stands behind a command is not read. */
function requireSeparated(command: Command): void {
  const [word] = command.args;
  if (word === undefined || isSeparated(command)) return;
  throw new SbxError(
    "USAGE",
    `Cannot create a sandbox: ${quote(word)} can be its name or its command`,
    { hint: "write sbx create -n NAME for the one, sbx create -- COMMAND for the other" },
  );
}

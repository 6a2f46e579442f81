/**
 * `sbx attach`: what a job prints and is told, from here on or from its beginning.
 *
 * @module
 */
import type { Command } from "commander";
import { Sandbox, SbxError } from "../../mod.ts";
import { MAIN_JOB } from "../../base/main_job.ts";
import { type CommandHost, examples } from "../command.ts";
import { converse } from "../converse.ts";
import { RUN_STATUSES } from "../exit.ts";
import { Signals } from "../signals.ts";
import { parseCount, parseKey } from "../values.ts";

interface Flags {
  readonly job: string;
  readonly from?: number;
  readonly fromStart?: true;
  readonly escapeChar?: number | null;
}

export function declare(command: Command): void {
  command
    .argument("<sandbox>", "its name")
    .option(
      "--job <job>",
      "a job of 'sbx ps' (default: the command that the sandbox is for)",
      MAIN_JOB,
    )
    .option(
      "--from <offset>",
      "from this byte of its output on",
      (text) => parseCount("--from", text),
    )
    .option("--from-start", "from its first byte on")
    .option(
      "--escape-char <key>",
      "at a terminal, Enter, this key (~) and a full stop end it",
      (text) => parseKey("--escape-char", text),
    );
  examples(command, [
    ["sbx attach web", "what it prints from now on; its end is this command's"],
    [
      "sbx attach dev --job 1 --from-start",
      "all that a job of 'sbx exec -d' has printed, and prints",
    ],
  ]);
  command.addHelpText("after", `\n${RUN_STATUSES}`);
}

export async function run(command: Command, host: CommandHost): Promise<number> {
  const flags = command.opts<Flags>();
  await using sandbox = await Sandbox.get(command.args[0] ?? "");
  const job = (await sandbox.jobs()).find(({ id }) => id === flags.job);
  if (job === undefined) {
    throw new SbxError(
      "JOB_MISSING",
      `Cannot attach to job ${flags.job} of ${sandbox.name}: there is none`,
      {
        hint: `see what there is with 'sbx ps ${sandbox.name}'`,
      },
    );
  }
  const from = flags.fromStart ? 0 : flags.from ?? job.printed;
  const signals = new Signals();
  try {
    const target = { exec: () => sandbox.attach(job.id, { from }) };
    return await converse(target, [], { tty: job.tty, ...escapeOf(flags) }, signals, host);
  } finally {
    signals.release();
  }
}

function escapeOf({ escapeChar }: Flags): Pick<Flags, "escapeChar"> {
  return escapeChar === undefined ? {} : { escapeChar };
}

/**
 * `sbx run`: a command in a fresh guest, as if it ran here.
 *
 * @module
 */
import type { Command } from "commander";
import { availableParallelism } from "node:os";
import process from "node:process";
import { plural } from "../base/plural.ts";
import { startHere } from "../api/start_here.ts";
import { type NetworkSummary, SbxError } from "../mod.ts";
import { type CommandHost, examples } from "./command.ts";
import { converse } from "./converse.ts";
import { refuseUndetached, runDetached } from "./sandbox/detached_run.ts";
import { OK, RUN_STATUSES, statusOfSignal, TIMED_OUT } from "./exit.ts";
import { publishedLines } from "./publications.ts";
import { refuseMisplaced } from "./misplaced.ts";
import { declareRunFlags, type DenialLevel, type RunFlags, runFlags } from "./run_flags.ts";
import { sandboxOf } from "./run_setup.ts";
import { Signals } from "./signals.ts";
import { startNotice } from "./start_notice.ts";
import { absentHint, type Attempt, unseenHint } from "./unseen.ts";
import { ui } from "./ui.ts";
import { refuseDetached, refuseUncopied, takeBack } from "./take_back.ts";
import { uselessAllowLine } from "./useless_allows.ts";

export function declare(command: Command): void {
  command.argument("[command...]", "what to run; its own options need no quoting")
    .passThroughOptions();
  declareRunFlags(command);
  examples(command, [
    ["sbx run -- uname -a", "a command in a fresh guest, with public addresses open"],
    ["sbx run -v .:/work -w /work -- npm test", "with this directory, writable"],
    [
      "sbx run -v .:/work:copy -w /work --diff --apply -- ./agent",
      "with a copy of it, whose changes are shown and taken over",
    ],
    [
      "sbx run --policy none --allow api.example.com:443 -- ./agent",
      "one destination and nothing else",
    ],
    ["sbx run --secret GITHUB_TOKEN@api.github.com -- ./agent", "a key that the guest never holds"],
    ["sbx run --no-net -- sh -c 'wc -l' < data.csv", "no network at all"],
    ["sbx run -d -n web -p 8080:80 -v .:/srv -w /srv -- python3 -m http.server 80", "left running"],
    ["sbx run -p 8080:80 -- python3 -m http.server 80", "a server, reachable at 127.0.0.1:8080"],
  ]);
  command.addHelpText("after", `\n${RUN_STATUSES}`);
}

export async function run(command: Command, host: CommandHost): Promise<number> {
  const flags = runFlags(command);
  const [program, ...args] = command.args;
  if (program === undefined) {
    throw new SbxError("USAGE", "Cannot run: no command given", {
      hint: "put it after the options: sbx run -- uname -a",
    });
  }
  refuseMisplaced(command);
  const { denials = "all" } = flags;
  if (flags.quiet) ui.quiet();
  if (flags.detach) refuseDetached(flags);
  if (flags.detach) return await runDetached(command.args, flags, host);
  refuseUndetached(flags);
  refuseUncopied(flags);
  const builder = (await sandboxOf(flags, host, program))
    .onNotice(startNotice(flags.notices))
    .onDenial(({ line }) => denials === "all" ? ui.notice(line) : undefined);
  if (!ui.isQuiet) {
    const lines = [
      await uselessAllowLine(builder.build().network, flags),
      processorsLine(flags.cpus, availableParallelism()),
    ];
    for (const line of lines) if (line !== undefined) ui.notice(line);
  }
  const signals = new Signals();
  try {
    await using sandbox = await ui.during("starting the guest", startHere(builder, signals.own));
    for (const line of publishedLines(sandbox.published)) ui.notice(line);
    const attempt = attemptOf([program, ...args], flags);
    const status = await converse(sandbox, attempt.argv, flags, signals, host)
      .catch((error) => {
        throw withHint(error, attempt);
      });
    signals.takeBack();
    const taken = await takeBack(sandbox, status, flags, signals.own);
    const hint = status === OK || status === TIMED_OUT ? undefined : unseenHint(attempt);
    if (hint !== undefined) ui.notice(hint);
    await sandbox.stop();
    const lost = await sandbox.ended;
    if (lost !== undefined) ui.error(lost);
    const summary = sandbox.summary();
    const last = summary === undefined ? undefined : lastLine(summary, denials);
    if (last !== undefined) ui.notice(last);
    return status === OK ? taken : status;
  } catch (error) {
    if (signals.ownSignal !== undefined) return statusOfSignal(signals.ownSignal);
    throw error;
  } finally {
    signals.release();
  }
}

/** What went through and, if wanted, what did not; undefined when there is nothing to tell. */
function lastLine(summary: NetworkSummary, denials: DenialLevel): string | undefined {
  const { flows, denied, line } = summary;
  if (denials !== "none") return flows + denied > 0 ? line : undefined;
  return flows > 0 ? `${plural(flows, "flow")} opened` : undefined;
}

/** A word about more processors than there are: undefined for fewer. */
export function processorsLine(wanted: number | undefined, here: number): string | undefined {
  if (wanted === undefined || wanted <= here) return undefined;
  return `--cpus ${wanted} is more than the ${plural(here, "processor")} of this machine: ` +
    "the guest starts slower, and is no faster";
}

function attemptOf(argv: readonly string[], { volume, workdir }: RunFlags): Attempt {
  return {
    argv,
    mounts: volume,
    ...(workdir === undefined ? {} : { workdir }),
    cwd: process.cwd(),
    path: process.env["PATH"] ?? "",
  };
}

/** Says of a command that the guest lacks what was probably meant. */
function withHint(error: unknown, attempt: Attempt): unknown {
  if (!(error instanceof SbxError) || error.code !== "EXEC_NOT_FOUND") return error;
  const hint = absentHint(attempt);
  return hint === undefined ? error : new SbxError(error.code, error.message, { hint });
}

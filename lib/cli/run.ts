/**
 * `sbx run`: a command in a fresh guest, as if it ran here.
 *
 * @module
 */
import type { Command } from "commander";
import process from "node:process";
import type { Writable } from "node:stream";
import { systemWords } from "../base/file_error.ts";
import { type Sandbox, type SandboxProcess, SbxError } from "../mod.ts";
import { type CommandHost, examples } from "./command.ts";
import { FAILED, OK, RUN_STATUSES, statusOfSignal, TIMED_OUT } from "./exit.ts";
import { declareRunFlags, type RunFlags, runFlags } from "./run_flags.ts";
import { sandboxOf } from "./run_setup.ts";
import { Signals } from "./signals.ts";
import { pumpIn, pumpOut } from "./stdio.ts";
import { enterRaw, mayReadInput, terminalSize, wantsTerminal } from "./terminal.ts";
import { unblockedOutput } from "./terminal_output.ts";
import { absentHint, type Attempt, unseenHint } from "./unseen.ts";
import { ui } from "./ui.ts";
import { formatDuration } from "./values.ts";

const SIGPIPE = 13;

/** What a raw terminal sends for it. */
const CTRL_C = 3;

export function declare(command: Command): void {
  command.argument("[command...]", "what to run; its own options need no quoting")
    .passThroughOptions();
  declareRunFlags(command);
  examples(command, [
    ["sbx run -- uname -a", "a command in a fresh guest, with public addresses open"],
    ["sbx run -v .:/work -w /work -- npm test", "with this directory, writable"],
    [
      "sbx run --policy none --allow api.example.com:443 -- ./agent",
      "one destination and nothing else",
    ],
    ["sbx run --secret GITHUB_TOKEN@api.github.com -- ./agent", "a key that the guest never holds"],
    ["sbx run --no-net -- sh -c 'wc -l' < data.csv", "no network at all"],
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
  if (flags.quiet) ui.quiet();
  const builder = (await sandboxOf(flags, host, program))
    .onNotice((line) => ui.notice(line))
    .onDenial((denial) => ui.notice(denial.line));
  const signals = new Signals();
  try {
    await using sandbox = await builder.create({ signal: signals.early, endsProcess: true });
    for (const { address, port, guestPort, protocol } of sandbox.published) {
      ui.notice(`published ${address} port ${port} to ${guestPort}/${protocol} of the guest`);
    }
    const attempt = attemptOf([program, ...args], flags);
    const status = await converse(sandbox, attempt.argv, flags, signals, host)
      .catch((error) => {
        throw withHint(error, attempt);
      });
    const hint = status === OK || status === TIMED_OUT ? undefined : unseenHint(attempt);
    if (hint !== undefined) ui.notice(hint);
    await sandbox.stop();
    const lost = await sandbox.ended;
    if (lost !== undefined) ui.error(lost);
    const summary = sandbox.summary();
    if (summary !== undefined && summary.flows + summary.denied > 0) ui.notice(summary.line);
    return status;
  } catch (error) {
    if (signals.earlySignal !== undefined) return statusOfSignal(signals.earlySignal);
    throw error;
  } finally {
    signals.release();
  }
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

/** Runs the command with this process's streams, terminal and signals; resolves to its status. */
async function converse(
  sandbox: Sandbox,
  [program = "", ...args]: readonly string[],
  flags: RunFlags,
  signals: Signals,
  { closedStreams: closed }: CommandHost,
): Promise<number> {
  const tty = wantsTerminal(flags.tty);
  const stdin = mayReadInput() && !closed.has(0);
  const child = sandbox.exec(program, args, {
    stdin,
    closed: [...closed],
    ...(tty ? { tty: { ...terminalSize(), term: process.env["TERM"] ?? "xterm" } } : {}),
  });
  signals.passTo(child);
  const leave = tty ? enterRaw(({ columns, rows }) => child.resize(columns, rows)) : undefined;
  try {
    if (stdin) {
      const see = (keys: Uint8Array) => tty && keys.includes(CTRL_C) ? signals.typed() : undefined;
      void pumpIn(process.stdin, child.stdin, see).catch((cause) => {
        ui.notice(`standard input ended early: ${systemWords(cause)}`);
      });
    }
    const ending = Promise.race([signals.ending, timeout(child)]);
    await Promise.all([
      deliver(child, child.stdout, unblockedOutput(process.stdout), ending),
      deliver(child, child.stderr, ui.stderr, ending),
    ]).catch((error) => {
      // When the guest is lost, the exit knows why; after any other failure there may be none.
      if (!(error instanceof SbxError && /^(GUEST_LOST|PROTOCOL)$/.test(error.code))) throw error;
    });
    const status = await child.exit;
    if (status.timedOut) {
      ui.notice(`ended after ${formatDuration(flags.timeout ?? 0)} (--timeout)`);
      return TIMED_OUT;
    }
    return status.signal !== undefined ? statusOfSignal(status.signal) : status.code ?? FAILED;
  } finally {
    leave?.();
  }
}

/** Resolves when the time limit has ended the command, and never when something else has. */
async function timeout(child: SandboxProcess): Promise<void> {
  const timedOut = await child.exit.then((status) => status.timedOut, () => false);
  if (!timedOut) await new Promise(() => {});
}

/** Copies one stream; a reader that went away ends the command as it would here. */
async function deliver(
  child: SandboxProcess,
  source: ReadableStream<Uint8Array>,
  sink: Writable,
  ending: Promise<unknown>,
): Promise<void> {
  if (!await pumpOut(source, sink, ending)) child.kill(SIGPIPE);
}

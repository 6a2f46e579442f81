/**
 * `sbx run`: a command in a fresh guest, as if it ran here.
 *
 * @module
 */
import type { Command } from "commander";
import process from "node:process";
import type { WriteStream } from "node:tty";
import { systemWords } from "../base/file_error.ts";
import { type Sandbox, type SandboxProcess, SbxError } from "../mod.ts";
import { examples } from "./command.ts";
import { FAILED, statusOfSignal, TIMED_OUT } from "./exit.ts";
import { declareRunFlags, type RunFlags, runFlags } from "./run_flags.ts";
import { sandboxOf } from "./run_setup.ts";
import { Signals } from "./signals.ts";
import { pumpIn, pumpOut } from "./stdio.ts";
import { enterRaw, mayReadInput, terminalSize, wantsTerminal } from "./terminal.ts";
import { ui } from "./ui.ts";

const SIGPIPE = 13;

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
    ["sbx run --no-net -- sh -c 'wc -l' < data.csv", "no network at all"],
    ["sbx run -p 8080:80 -- python3 -m http.server 80", "a server, reachable at 127.0.0.1:8080"],
  ]);
}

export async function run(command: Command): Promise<number> {
  const flags = runFlags(command);
  const [program, ...args] = command.args;
  if (program === undefined) {
    throw new SbxError("USAGE", "Cannot run: no command given", {
      hint: "put it after the options: sbx run -- uname -a",
    });
  }
  if (flags.quiet) ui.quiet();
  const builder = (await sandboxOf(flags))
    .onNotice((line) => ui.notice(line))
    .onDenial((denial) => ui.notice(denial.line));
  const signals = new Signals();
  try {
    await using sandbox = await builder.create({ signal: signals.early });
    for (const { address, port, guestPort, protocol } of sandbox.published) {
      ui.notice(`published ${address} port ${port} to ${guestPort}/${protocol} of the guest`);
    }
    const status = await converse(sandbox, program, args, flags, signals);
    await sandbox.stop();
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

/** Runs the command with this process's streams, terminal and signals; resolves to its status. */
async function converse(
  sandbox: Sandbox,
  program: string,
  args: readonly string[],
  flags: RunFlags,
  signals: Signals,
): Promise<number> {
  const tty = wantsTerminal(flags.tty);
  const stdin = mayReadInput();
  const child = sandbox.exec(program, args, {
    stdin,
    ...(tty ? { tty: { ...terminalSize(), term: process.env["TERM"] ?? "xterm" } } : {}),
  });
  signals.passTo(child);
  const leave = tty ? enterRaw(({ columns, rows }) => child.resize(columns, rows)) : undefined;
  try {
    if (stdin) {
      void pumpIn(process.stdin, child.stdin).catch((cause) => {
        ui.notice(`standard input ended early: ${systemWords(cause)}`);
      });
    }
    await Promise.all([
      deliver(child, child.stdout, process.stdout),
      deliver(child, child.stderr, process.stderr),
    ]).catch(async (error) => {
      // When the guest is lost, its end knows why; after any other failure there may be no end.
      const lost = error instanceof SbxError && /^(GUEST_LOST|PROTOCOL)$/.test(error.code);
      if (lost) await child.exit;
      throw error;
    });
    const { code, signal, timedOut } = await child.exit;
    if (timedOut) return TIMED_OUT;
    return signal !== undefined ? statusOfSignal(signal) : code ?? FAILED;
  } finally {
    leave?.();
  }
}

/** Copies one stream; a reader that went away ends the command as it would here. */
async function deliver(
  child: SandboxProcess,
  source: ReadableStream<Uint8Array>,
  sink: WriteStream,
): Promise<void> {
  if (!await pumpOut(source, sink)) child.kill(SIGPIPE);
}

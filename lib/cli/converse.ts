/**
 * A command in a sandbox, with this process's streams, terminal and signals.
 *
 * @module
 */
import process from "node:process";
import type { Writable } from "node:stream";
import { systemWords } from "../base/file_error.ts";
import { type ExecOptions, type Sandbox, type SandboxProcess, SbxError } from "../mod.ts";
import type { CommandHost } from "./command.ts";
import { DEFAULT_ESCAPE_KEY } from "./escape_key.ts";
import { FAILED, statusOfSignal, TIMED_OUT } from "./exit.ts";
import { Keyboard } from "./keyboard.ts";
import type { RunFlags } from "./run_flags.ts";
import type { Signals } from "./signals.ts";
import { pumpIn, pumpOut } from "./stdio.ts";
import { enterRaw, mayReadInput, terminalSize, wantsTerminal } from "./terminal.ts";
import { pumpKeys } from "./terminal_input.ts";
import { unblockedOutput } from "./terminal_output.ts";
import { ui } from "./ui.ts";
import { formatDuration } from "./values.ts";

const SIGPIPE = 13;

/** What the options say of the conversation. */
export type ConverseFlags = Pick<RunFlags, "tty" | "escapeChar" | "timeout">;

/** Runs the command with this process's streams, terminal and signals; resolves to its status. */
export async function converse(
  sandbox: Pick<Sandbox, "exec">,
  [program = "", ...args]: readonly string[],
  flags: ConverseFlags,
  signals: Signals,
  { closedStreams: closed }: CommandHost,
  options: ExecOptions = {},
): Promise<number> {
  const tty = wantsTerminal(flags.tty);
  const stdin = mayReadInput() && !closed.has(0);
  const child = sandbox.exec(program, args, {
    ...options,
    stdin,
    closed: [...closed],
    ...(tty ? { tty: { ...terminalSize(), term: process.env["TERM"] ?? "xterm" } } : {}),
  });
  signals.passTo(child);
  const keyboard = tty && process.stdin.isTTY
    ? new Keyboard(signals, flags.escapeChar === undefined ? DEFAULT_ESCAPE_KEY : flags.escapeChar)
    : undefined;
  const leave = tty ? enterRaw(({ columns, rows }) => child.resize(columns, rows)) : undefined;
  try {
    if (stdin) {
      const pumped = keyboard === undefined ? pumpIn(process.stdin, child.stdin) : pumpKeys(
        process.stdin,
        child.stdin,
        (typed) => keyboard.sort(typed),
        () => ui.notice("what is typed is lost: the command takes no input"),
      );
      void pumped.catch((cause) => {
        ui.notice(`standard input ended early: ${systemWords(cause)}`);
      });
    }
    const ending = Promise.race([signals.ending, timeout(child)]);
    const see = (bytes: Uint8Array) => keyboard?.printed(bytes);
    await Promise.all([
      deliver(child, child.stdout, unblockedOutput(process.stdout), ending, see),
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
  see?: (bytes: Uint8Array) => void,
): Promise<void> {
  if (!await pumpOut(source, sink, ending, see)) child.kill(SIGPIPE);
}

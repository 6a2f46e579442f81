/**
 * One command in a sandbox.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import type { GuestProcess } from "../guest/guest.ts";
import type { Lifetime } from "./lifetime.ts";

/** How a command ended: with a code, or by a signal. */
export interface ExitStatus {
  readonly code?: number;
  /** The number of the signal that ended it. */
  readonly signal?: number;
  /** True when the time limit ended it. */
  readonly timedOut: boolean;
}

/** What a command printed, decoded as UTF-8, and how it ended. */
export interface Output extends ExitStatus {
  readonly stdout: string;
  readonly stderr: string;
}

/** Collected output may not exceed this, because the guest decides how much it prints. */
export const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Between the request to end (SIGTERM) and the end (SIGKILL) of a command at its time limit. */
const GRACE_MS = 2000;

const SIGTERM = 15;
const SIGKILL = 9;

export class SandboxProcess {
  /** Bytes for the command; closing it is the end of its input. */
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  /** Empty when the command has a terminal: what it prints there comes out of `stdout`. */
  readonly stderr: ReadableStream<Uint8Array>;
  /**
   * How the command ended. Rejects when the sandbox ended first, and with `EXEC_NOT_FOUND` or
   * `EXEC_NOT_EXECUTABLE` when there was no command to start.
   */
  readonly exit: Promise<ExitStatus>;
  readonly #guest: GuestProcess;

  constructor(guest: GuestProcess, lifetime: Lifetime, timeoutMs?: number) {
    this.#guest = guest;
    this.stdin = guest.stdin;
    this.stdout = guest.stdout;
    this.stderr = guest.stderr;
    this.exit = lifetime.until(withLimit(guest, timeoutMs), "wait for the command").catch((error) =>
      lossOf(lifetime, error)
    );
    // Whoever only reads the streams need not look at the status.
    this.exit.catch(() => {});
  }

  /** Sends a signal, by number, to the command and what it started in its process group. */
  kill(signal: number = SIGTERM): void {
    this.#guest.signal(signal);
  }

  /** Tells a command with a terminal its new size. */
  resize(columns: number, rows: number): void {
    this.#guest.resize(columns, rows);
  }

  /**
   * Closes the command's input, collects what it prints and waits for its end. Meant for short
   * answers: more than {@link MAX_OUTPUT_BYTES} of either stream kills the command and rejects.
   */
  async output(): Promise<Output> {
    if (!this.stdin.locked) await this.stdin.close().catch(() => {});
    const [stdout, stderr, status] = await Promise.all([
      this.#collect(this.stdout),
      this.#collect(this.stderr),
      this.exit,
    ]);
    return { stdout, stderr, ...status };
  }

  async #collect(stream: ReadableStream<Uint8Array>): Promise<string> {
    const decoder = new TextDecoder();
    let text = "";
    let bytes = 0;
    for await (const chunk of stream) {
      bytes += chunk.byteLength;
      if (bytes > MAX_OUTPUT_BYTES) {
        this.kill(SIGKILL);
        throw new SbxError(
          "OUTPUT_TOO_LONG",
          `Cannot collect the output: more than ${MAX_OUTPUT_BYTES} bytes`,
          {
            hint: "read the streams stdout and stderr instead",
          },
        );
      }
      text += decoder.decode(chunk, { stream: true });
    }
    return text + decoder.decode();
  }
}

async function withLimit(guest: GuestProcess, timeoutMs: number | undefined): Promise<ExitStatus> {
  let timedOut = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  if (timeoutMs !== undefined) {
    timer = setTimeout(() => {
      timedOut = true;
      guest.signal(SIGTERM);
      timer = setTimeout(() => guest.signal(SIGKILL), GRACE_MS);
    }, timeoutMs);
  }
  try {
    return { ...await guest.exit, timedOut };
  } finally {
    clearTimeout(timer);
  }
}

/** The agent's port closes before the guest's end says why, and the end is sure to follow. */
async function lossOf(lifetime: Lifetime, error: unknown): Promise<never> {
  const lost = error instanceof SbxError &&
    (error.code === "GUEST_LOST" || error.code === "PROTOCOL");
  throw lost ? await lifetime.ending ?? error : error;
}

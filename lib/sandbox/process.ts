/**
 * One command in a sandbox.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import type { GuestProcess } from "../guest/guest.ts";
import { ANSWER_MS, Ending, OBEY_MS, patienceOf, UNHEARD_MS } from "./ending.ts";
import { requireTerminalSize } from "./exec_options.ts";
import type { Lifetime } from "./lifetime.ts";
import { type SignalName, signalNumber } from "../base/signal.ts";
import type { Stillness, Watch } from "./stillness.ts";

/** How a command ended: with a code, or by a signal. */
export interface ExitStatus {
  /** Its exit code; absent when a signal ended it. */
  readonly code?: number;
  /** The number of the signal that ended it. */
  readonly signal?: number;
  /** True when the time limit ended it. */
  readonly timedOut: boolean;
}

/** What a command printed, decoded as UTF-8, and how it ended. */
export interface Output extends ExitStatus {
  /** What it printed on standard output. */
  readonly stdout: string;
  /** What it printed on standard error. */
  readonly stderr: string;
}

/** Collected output may not exceed this, because the guest decides how much it prints. */
export const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;

/** Between the request to end (SIGTERM) and the end (SIGKILL) of a command at its time limit. */
const GRACE_MS = 2000;

/**
 * The watchdog's limit is later than anything that is done here about a time limit, and there for
 * when nothing is: this process's one thread hangs, or is stopped.
 */
const WATCHDOG_MS = GRACE_MS + OBEY_MS + UNHEARD_MS + ANSWER_MS;

/** A timer of more milliseconds goes off at once. */
const LONGEST_MS = 2 ** 31 - 1;

const SIGTERM = 15;
const SIGKILL = 9;

/** A time limit, and who holds it when this process cannot. */
export interface TimeLimit {
  readonly ms: number;
  /** Ends the machine in so many milliseconds, unless the function returned is called before. */
  readonly watch?: Watch;
}

/** What is known of a command's life. */
interface ProcessOptions {
  readonly limit?: TimeLimit;
  readonly signal?: AbortSignal;
  /** How often a guest that answers is asked anew before it is ended for this command; never when absent. */
  readonly questions?: number;
  /** When its guest stands still. Absent: never. */
  readonly stillness?: Stillness;
}

/** A command that runs in a sandbox, or has. */
export class SandboxProcess {
  /** Bytes for the command; closing it is the end of its input. */
  readonly stdin: WritableStream<Uint8Array>;
  /** What the command prints, with backpressure. */
  readonly stdout: ReadableStream<Uint8Array>;
  /** Empty when the command has a terminal: what it prints there comes out of `stdout`. */
  readonly stderr: ReadableStream<Uint8Array>;
  /**
   * How the command ended. Rejects when the sandbox ended first, with the reason of an aborted
   * `signal` once the command is gone, and with `EXEC_NOT_FOUND` or
   * `EXEC_NOT_EXECUTABLE` when there was no command to start.
   */
  readonly exit: Promise<ExitStatus>;
  /** True once the guest has started the command; false when it said nothing of that before `exit` settled. */
  readonly started: Promise<boolean>;
  readonly #guest: GuestProcess;
  readonly #ending: Ending;

  /** @internal Commands come from `Sandbox.exec`. */
  constructor(
    guest: GuestProcess,
    lifetime: Lifetime,
    { limit, signal, questions = 0, stillness }: ProcessOptions = {},
  ) {
    this.#guest = guest;
    this.#ending = new Ending(guest, lifetime, questions, stillness);
    this.stdin = guest.stdin;
    this.stdout = guest.stdout;
    this.stderr = guest.stderr;
    this.started = guest.started;
    const watchMs = WATCHDOG_MS + patienceOf(questions);
    const status = this.#settle(lifetime, limit, watchMs);
    this.exit = signal === undefined ? status : this.#untilAborted(status, signal);
    // Whoever only reads the streams need not look at the status.
    this.exit.catch(() => {});
  }

  /**
   * Sends a signal, by name or by Linux's number, to the command and what it started in its process
   * group; SIGTERM when called without one. After a signal that asks for an end, a guest that does not
   * even answer within five seconds is ended with its sandbox; after SIGKILL, one whose command is not
   * gone within three; in a sandbox that can have several, one that still answers has ten seconds more, or
   * 35 where each answer takes its time. To a command that has ended nothing happens.
   *
   * @throws SbxError USAGE
   */
  kill(signal: SignalName | number = SIGTERM): void {
    this.#ending.send(signalNumber(signal));
  }

  /** Resolves when the guest has shown that it can still be reached; rejects when it is lost. */
  async answers(): Promise<void> {
    await this.#guest.answers();
  }

  /**
   * Tells a command with a terminal its new size, in characters.
   *
   * @throws SbxError USAGE
   */
  resize(columns: number, rows: number): void {
    requireTerminalSize(`resize(${columns}, ${rows})`, columns, rows);
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

  async #settle(
    lifetime: Lifetime,
    limit: TimeLimit | undefined,
    watchMs: number,
  ): Promise<ExitStatus> {
    const began = performance.now();
    const late = () => limit !== undefined && performance.now() - began >= limit.ms;
    let timedOut = false;
    const lift = limit?.watch?.(limit.ms + watchMs);
    let timer: ReturnType<typeof setTimeout> | undefined;
    const wait = (ms: number) => {
      timer = setTimeout(() => {
        if (ms > LONGEST_MS) return wait(ms - LONGEST_MS);
        timedOut = true;
        timer = this.#end();
      }, Math.min(ms, LONGEST_MS));
    };
    if (limit !== undefined) wait(limit.ms);
    try {
      const exit = await lifetime.until(this.#guest.exit, "wait for the command");
      return { ...exit, timedOut: timedOut || exit.timedOut === true };
    } catch (error) {
      const reason = isLoss(error) || !lifetime.open ? await lifetime.ending : undefined;
      const { forced } = this.#ending;
      // Past the limit it does not matter who ended the sandbox: this, or the watchdog.
      if (forced === undefined && (reason === undefined || !late())) throw reason ?? error;
      await lifetime.end();
      return { signal: forced ?? SIGKILL, timedOut: timedOut || late() };
    } finally {
      clearTimeout(timer);
      lift?.();
    }
  }

  /** Asks for the end, and after a while for no more leave. */
  #end(): ReturnType<typeof setTimeout> {
    this.#guest.signal(SIGTERM);
    return setTimeout(() => this.kill(SIGKILL), GRACE_MS);
  }

  async #untilAborted(status: Promise<ExitStatus>, signal: AbortSignal): Promise<ExitStatus> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const abort = () => void (timer = this.#end());
    signal.addEventListener("abort", abort, { once: true });
    try {
      const ended = await status;
      if (timer !== undefined) throw signal.reason;
      return ended;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
    }
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

/** The agent's port closes before the guest's end says why, and the end is sure to follow. */
function isLoss(error: unknown): boolean {
  return error instanceof SbxError && (error.code === "GUEST_LOST" || error.code === "PROTOCOL");
}

/**
 * Signals that reach sbx. Until the command runs they give up the start; while it runs they are the
 * command's, which may handle them as it would without sbx in between; after it they give up what is
 * still done. Those that were ignored when sbx was started stay ignored, as nohup(1) and
 * `trap '' INT` want it.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import process from "node:process";
import type { SandboxProcess } from "../mod.ts";
import { ui } from "./ui.ts";

const PASSED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;
type Passed = (typeof PASSED)[number];

/** Those that ask for an end. */
const REQUESTS: ReadonlySet<Passed> = new Set(["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]);

/** How soon a second one means that the command does not listen, and is to be killed. */
const IMPATIENCE_MS: Partial<Record<Passed, number>> = { SIGINT: 2000, SIGTERM: Infinity };

/**
 * One key or `kill` may come twice: to sbx, and to its process group. timeout(1) always does that,
 * and so do wrappers that pass a terminal's Ctrl-C on.
 */
const ECHO_MS = 100;

/** How long after a typed Ctrl-C a guest that has not answered since counts as one that hangs. */
const HANGS_MS = 2000;

export class Signals {
  readonly #abort = new AbortController();
  readonly #ending = Promise.withResolvers<void>();
  readonly #listeners: readonly (readonly [NodeJS.Signals, () => void])[];
  #process: SandboxProcess | undefined;
  readonly #last = new Map<Passed, number>();
  #given: number | undefined;
  /** When the Ctrl-C was typed that the guest has not answered. */
  #unanswered: number | undefined;

  constructor() {
    const ignored = ignoredSignals();
    const all: (readonly [NodeJS.Signals, () => void])[] = [
      ...PASSED.map((name) => [name, () => this.#receive(name)] as const),
      ["SIGTSTP", refuseToStop],
    ];
    this.#listeners = all.filter(([name]) => !ignored.has(constants.signals[name]));
    for (const [name, listener] of this.#listeners) process.on(name, listener);
  }

  /** Aborts when a signal came while no command ran. */
  get own(): AbortSignal {
    return this.#abort.signal;
  }

  /** The number of the first signal that came while no command ran. */
  get ownSignal(): number | undefined {
    return this.#given;
  }

  /** Resolves when a signal has asked the command to end. */
  get ending(): Promise<void> {
    return this.#ending.promise;
  }

  /** From here on the signals are this command's. */
  passTo(target: SandboxProcess): void {
    this.#process = target;
  }

  /** The command has ended: from here on they are sbx's again. */
  takeBack(): void {
    this.#process = undefined;
  }

  /**
   * In a raw terminal Ctrl-C is a key like any other, and the guest's. Typed again to a guest that
   * has not even answered the first one, it ends the guest.
   */
  typed(): void {
    const target = this.#process;
    const now = performance.now();
    if (target === undefined) return;
    if (this.#unanswered === undefined) {
      this.#unanswered = now;
      target.answers().then(() => this.#unanswered = undefined, () => {});
    } else if (now - this.#unanswered > HANGS_MS) this.end();
  }

  /** Kills the command; a guest that does not even obey that is ended. */
  end(): void {
    this.#process?.kill(constants.signals.SIGKILL);
    this.#ending.resolve();
  }

  release(): void {
    for (const [name, listener] of this.#listeners) process.off(name, listener);
  }

  #receive(name: Passed): void {
    const number = constants.signals[name];
    const now = performance.now();
    const patience = IMPATIENCE_MS[name];
    const since = now - (this.#last.get(name) ?? -Infinity);
    // The second half of what the command has had may come when it is gone.
    if (patience !== undefined && since < ECHO_MS) return;
    if (this.#process === undefined) {
      this.#given ??= number;
      this.#abort.abort();
      return;
    }
    this.#last.set(name, now);
    const again = patience !== undefined && since < patience;
    this.#process.kill(again ? constants.signals.SIGKILL : number);
    if (REQUESTS.has(name)) this.#ending.resolve();
  }
}

/**
 * The numbers of the signals that whoever started this process had it ignore: a bit mask in
 * proc_pid_status(5). The runtime leaves them alone. Where there is no /proc, none are known.
 */
function ignoredSignals(): ReadonlySet<number> {
  let mask = 0n;
  try {
    const status = readFileSync("/proc/self/status", "utf8");
    mask = BigInt(`0x${/^SigIgn:\t([0-9a-f]{1,32})$/m.exec(status)?.[1] ?? "0"}`);
  } catch {
    // Not Linux, or not mounted.
  }
  return new Set(
    Object.values(constants.signals).filter((number) => (mask >> BigInt(number - 1) & 1n) === 1n),
  );
}

/** A stopped sbx decides nothing, and a network without decisions locks itself within seconds. */
function refuseToStop(): void {
  ui.notice(
    "not suspended: the guest would lose its network; start it in another terminal, or with &",
  );
}

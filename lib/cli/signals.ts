/**
 * Signals that reach sbx. Until the command runs they give up the start; from then on they are the
 * command's, which may handle them as it would without sbx in between.
 *
 * @module
 */
import { constants } from "node:os";
import process from "node:process";
import type { SandboxProcess } from "../mod.ts";
import { ui } from "./ui.ts";

const PASSED = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2"] as const;

/** A second SIGINT this soon means: it does not listen, end it. */
const IMPATIENCE_MS = 2000;

export class Signals {
  readonly #abort = new AbortController();
  readonly #listeners = PASSED.map((name) => [name, () => this.#receive(name)] as const);
  #process: SandboxProcess | undefined;
  #lastInterrupt = -Infinity;
  #given: number | undefined;

  constructor() {
    for (const [name, listener] of this.#listeners) process.on(name, listener);
    process.on("SIGTSTP", refuseToStop);
  }

  /** Aborts when a signal came before the command ran. */
  get early(): AbortSignal {
    return this.#abort.signal;
  }

  /** The number of the first signal that came before the command ran. */
  get earlySignal(): number | undefined {
    return this.#given;
  }

  /** From here on the signals are this command's. */
  passTo(target: SandboxProcess): void {
    this.#process = target;
  }

  release(): void {
    for (const [name, listener] of this.#listeners) process.off(name, listener);
    process.off("SIGTSTP", refuseToStop);
  }

  #receive(name: (typeof PASSED)[number]): void {
    const number = constants.signals[name];
    if (this.#process === undefined) {
      this.#given ??= number;
      this.#abort.abort();
      return;
    }
    const now = performance.now();
    const impatient = name === "SIGINT" && now - this.#lastInterrupt < IMPATIENCE_MS;
    if (name === "SIGINT") this.#lastInterrupt = now;
    this.#process.kill(impatient ? constants.signals.SIGKILL : number);
  }
}

/** A stopped sbx decides nothing, and a network without decisions locks itself within seconds. */
function refuseToStop(): void {
  ui.notice(
    "not suspended: the guest would lose its network; start it in another terminal, or with &",
  );
}

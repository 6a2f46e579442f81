/**
 * Brings a command to its end, with the guest's help or without.
 *
 * ```
 * asked ── the agent answers ──► the command may take its time
 *   └───── it does not ──────────────────────────────────┐
 * killed ── no status ──► unheard ── no status ──► the sandbox is ended
 *                            │  ▲                        │
 *               shared ──► asked again ── no answer ─────┘
 * ```
 *
 * A status can be late because nobody reads what the command printed before it; `unheard` is to be
 * read by nobody, and gets its status through. A shared sandbox has others' commands as well, which one
 * that ends slowly on a busy machine is not to take along: as long as the agent answers, it has some more time.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import type { GuestProcess } from "../guest/guest.ts";
import type { Lifetime } from "./lifetime.ts";
import { Stillness } from "./stillness.ts";

const SIGKILL = 9;

/** Signals that ask for an end, save SIGKILL: HUP, INT, QUIT, PIPE, TERM. */
const REQUESTS: ReadonlySet<number> = new Set([1, 2, 3, 13, 15]);

/** How long the agent may take to say that it lives, when the command was asked to end. */
export const ANSWER_MS = 5000;

/** How long a killed command's status may take, and how long once its output is dropped. */
export const OBEY_MS = 2000;
export const UNHEARD_MS = 1000;

/** How often the agent of a shared sandbox is asked whether it lives while a killed command does. */
export const SHARED_QUESTIONS = 5;

/** The longest that so many questions take. */
export function patienceOf(questions: number): number {
  return questions * (ANSWER_MS + OBEY_MS);
}

export class Ending {
  readonly #guest: GuestProcess;
  readonly #lifetime: Lifetime;
  readonly #questions: number;
  readonly #stillness: Stillness;
  #over = false;
  #killing = false;
  #forced: number | undefined;

  /** `questions`: how often a guest that answers is asked anew while a killed command has no status. */
  constructor(
    guest: GuestProcess,
    lifetime: Lifetime,
    questions: number,
    stillness = new Stillness(),
  ) {
    this.#stillness = stillness;
    this.#guest = guest;
    this.#lifetime = lifetime;
    this.#questions = questions;
    const over = () => void (this.#over = true);
    guest.exit.then(over, over);
  }

  /** The signal in whose place the whole sandbox was ended. */
  get forced(): number | undefined {
    return this.#forced;
  }

  /** Passes a signal on. */
  send(signal: number): void {
    if (signal === SIGKILL) void this.#kill();
    else void this.#ask(signal);
  }

  async #ask(signal: number): Promise<void> {
    this.#guest.signal(signal);
    if (!REQUESTS.has(signal) || this.#over) return;
    if (!await this.#settles(this.#guest.answers(), ANSWER_MS)) this.#force(signal);
  }

  async #kill(): Promise<void> {
    this.#guest.signal(SIGKILL);
    if (this.#killing) return;
    this.#killing = true;
    if (await this.#settles(this.#guest.exit, OBEY_MS)) return;
    this.#guest.discard();
    if (await this.#settles(this.#guest.exit, UNHEARD_MS)) return;
    if (!await this.#endsWhileAnswered()) this.#force(SIGKILL);
  }

  async #endsWhileAnswered(): Promise<boolean> {
    for (let asked = 0; asked < this.#questions; asked++) {
      if (!await this.#settles(this.#guest.answers(), ANSWER_MS)) return false;
      if (await this.#settles(this.#guest.exit, OBEY_MS)) return true;
    }
    return false;
  }

  #settles(promise: Promise<unknown>, ms: number): Promise<boolean> {
    return this.#stillness.settles(promise, ms);
  }

  #force(signal: number): void {
    if (this.#over) return;
    this.#forced ??= signal;
    void this.#lifetime.end(
      new SbxError("GUEST_LOST", "Cannot go on: the guest did not answer, and was ended"),
    );
  }
}

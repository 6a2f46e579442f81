/**
 * Counts of what a guest causes as often as it likes, told once a second however often that is.
 *
 * @module
 */
import { type Clock, systemClock } from "../base/clock.ts";

const GATHER_MS = 1_000;

export class Gathered {
  readonly #tell: (count: number) => void;
  readonly #clock: Clock;
  #count = 0;

  constructor(tell: (count: number) => void, clock: Clock = systemClock) {
    this.#tell = tell;
    this.#clock = clock;
  }

  add(): void {
    if (this.#count++ === 0) this.#clock.after(GATHER_MS, () => this.tell());
  }

  /** Tells at once what was not told yet. */
  tell(): void {
    if (this.#count === 0) return;
    const count = this.#count;
    this.#count = 0;
    this.#tell(count);
  }
}

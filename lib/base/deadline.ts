/**
 * One deadline that moves with every sign of life. Moving it costs no timer.
 *
 * @module
 */
import type { Clock } from "./clock.ts";

export class Deadline {
  readonly #clock: Clock;
  readonly #expire: () => void;
  #after = 0;
  #due = Infinity;
  #armedFor = Infinity;
  #disarm = () => {};

  constructor(clock: Clock, expire: () => void) {
    this.#clock = clock;
    this.#expire = expire;
  }

  /** From now on `ms` without {@link touch} are too many. */
  set(ms: number): void {
    this.#after = ms;
    this.touch();
  }

  touch(): void {
    this.#due = this.#clock.now() + this.#after;
    if (this.#due < this.#armedFor) this.#arm();
  }

  clear(): void {
    this.#due = Infinity;
    this.#armedFor = Infinity;
    this.#disarm();
  }

  #arm(): void {
    this.#disarm();
    this.#armedFor = this.#due;
    this.#disarm = this.#clock.after(Math.max(0, this.#due - this.#clock.now()), () => {
      this.#armedFor = Infinity;
      if (this.#due === Infinity) return;
      // A timer may come a fraction of a millisecond early.
      if (this.#clock.now() + 1 >= this.#due) this.#expire();
      else this.#arm();
    });
  }
}

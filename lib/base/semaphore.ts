/**
 * A bound on how many of something run at once; the rest waits, in the order it came unless told
 * otherwise.
 *
 * @module
 */

export class Semaphore {
  readonly #waiting: (() => void)[] = [];
  readonly #next: "oldest" | "newest";
  #free: number;

  /**
   * `next` says who goes first of those that wait. With `newest`, a flood of tasks keeps only itself
   * waiting: what comes after it need not wait for it.
   */
  constructor(slots: number, next: "oldest" | "newest" = "oldest") {
    this.#free = slots;
    this.#next = next;
  }

  /** Runs the task when a slot is free and gives the slot back when it settles. */
  async run<T>(task: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.#next === "oldest" ? this.#waiting.shift() : this.#waiting.pop();
      if (next === undefined) this.#free++;
      else next(); // the slot passes on without becoming free, so that no newcomer takes it
    }
  }
}

/**
 * Calls that wait for their answers, each by a number that is used once. Pure.
 *
 * ```
 * open() ──► open ── settle(), settleAll() ──► over
 * ```
 *
 * @module
 */
export class Calls<T> {
  readonly #open = new Map<number, T>();
  readonly #max: number;
  #last: number;

  /**
   * `max`: the highest number that the conversation can write. `last`: the highest that the other side
   * has had from somebody else.
   */
  constructor(max = Number.MAX_SAFE_INTEGER, last = 0) {
    this.#max = max;
    this.#last = last;
  }

  /** No number is left for another call. */
  get isUsedUp(): boolean {
    return this.#last === this.#max;
  }

  /** The highest number so far. */
  get last(): number {
    return this.#last;
  }

  /** Whether one is not answered yet. */
  get isAnyOpen(): boolean {
    return this.#open.size > 0;
  }

  /** A number for the call, higher than any before. @throws RangeError when all are used up */
  open(call: T): number {
    if (this.isUsedUp) throw new RangeError("no number is left for a call");
    this.#open.set(++this.#last, call);
    return this.#last;
  }

  /** The call with this number, while it is open. */
  find(id: number): T | undefined {
    return this.#open.get(id);
  }

  /** The call that is answered, and is open no more. */
  settle(id: number): T | undefined {
    const call = this.#open.get(id);
    this.#open.delete(id);
    return call;
  }

  /** All calls that are open; from here on none is. */
  settleAll(): T[] {
    const calls = [...this.#open.values()];
    this.#open.clear();
    return calls;
  }
}

/**
 * Who has a guest stand still for a copy: one at a time, the others wait for their turn.
 *
 * ```
 * moving ── begin() ──► still ── the function that it answers ──► moving
 * ```
 *
 * A command that stands still can neither answer nor end, so limits to how long it may take do not count that time.
 *
 * @module
 */
import { type Clock, systemClock } from "../base/clock.ts";
import { untilAborted } from "../base/until.ts";

/** Has something ended in so many milliseconds, unless the function that it answers is called before. */
export type Watch = (ms: number) => () => void;

/** A limit that somebody outside holds. */
interface Limit {
  readonly watch: Watch;
  leftMs: number;
  since: number;
  lift: () => void;
}

export class Stillness {
  readonly #clock: Clock;
  readonly #limits = new Set<Limit>();
  #last: Promise<void> = Promise.resolve();
  #isStill = false;
  #times = 0;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Resolves when it is one's turn, to what ends that. Aborting the signal gives the place up. */
  async begin(signal?: AbortSignal): Promise<() => void> {
    const before = this.#last;
    const { promise: over, resolve } = Promise.withResolvers<void>();
    this.#last = before.then(() => over);
    try {
      await untilAborted(before, signal);
    } catch (error) {
      resolve();
      throw error;
    }
    this.#stand();
    let isOver = false;
    return () => {
      if (isOver) return;
      isOver = true;
      this.#move();
      resolve();
    };
  }

  /** Whether something settles, either way, in so many milliseconds in which the guest moves. */
  async settles(promise: Promise<unknown>, ms: number): Promise<boolean> {
    const settled = promise.then(() => true, () => true);
    for (;;) {
      const times = this.#times;
      if (await Promise.race([settled, this.#last.then(() => false)])) return true;
      const late = Promise.withResolvers<false>();
      const disarm = this.#clock.after(ms, () => late.resolve(false));
      if (await Promise.race([settled, late.promise]).finally(disarm)) return true;
      if (times === this.#times) return false;
    }
  }

  /** The same limit, which does not count the time in which the guest stands still. */
  limit(ms: number, watch: Watch): () => void {
    const limit: Limit = { watch, leftMs: ms, since: this.#clock.now(), lift: () => {} };
    this.#limits.add(limit);
    if (!this.#isStill) limit.lift = watch(ms);
    return () => {
      this.#limits.delete(limit);
      limit.lift();
    };
  }

  #stand(): void {
    this.#isStill = true;
    this.#times++;
    const now = this.#clock.now();
    for (const limit of this.#limits) {
      limit.lift();
      limit.lift = () => {};
      limit.leftMs -= now - limit.since;
    }
  }

  #move(): void {
    this.#isStill = false;
    for (const limit of this.#limits) {
      limit.since = this.#clock.now();
      limit.lift = limit.watch(Math.max(limit.leftMs, 0));
    }
  }
}

/**
 * How long nobody has used a sandbox.
 *
 * ```
 * idle ── use() ──► used ── the last user is done ──► idle ── for so long ──► over
 * ```
 *
 * @module
 */

/** A timer of more milliseconds goes off at once. */
const LONGEST_MS = 2 ** 31 - 1;

export class IdleClock {
  readonly #limitMs: number | undefined;
  readonly #onIdle: () => void;
  #users = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** Calls `onIdle` once when nobody used it for so long; never without a limit. */
  constructor(limitMs: number | undefined, onIdle: () => void) {
    this.#limitMs = limitMs;
    this.#onIdle = onIdle;
    this.#wait();
  }

  /** Somebody uses it until he calls what is returned. */
  use(): () => void {
    this.#users++;
    clearTimeout(this.#timer);
    let done = false;
    return () => {
      if (done) return;
      done = true;
      if (--this.#users === 0) this.#wait();
    };
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#users = Infinity;
  }

  #wait(): void {
    if (this.#limitMs !== undefined) this.#waitFor(this.#limitMs);
  }

  #waitFor(ms: number): void {
    const left = ms - LONGEST_MS;
    this.#timer = left > 0
      ? setTimeout(() => this.#waitFor(left), LONGEST_MS)
      : setTimeout(this.#onIdle, ms);
  }
}

/**
 * A rate limit that lets bursts through.
 *
 * @module
 */

export class TokenBucket {
  readonly #perSecond: number;
  readonly #burst: number;
  readonly #now: () => number;
  #tokens: number;
  #filledAt: number;

  /** `now` in milliseconds. The bucket starts full. */
  constructor(perSecond: number, burst: number, now: () => number) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#now = now;
    this.#tokens = burst;
    this.#filledAt = now();
  }

  /** Takes a token if there is one. */
  take(): boolean {
    const now = this.#now();
    const gained = (now - this.#filledAt) / 1000 * this.#perSecond;
    this.#tokens = Math.min(this.#burst, this.#tokens + gained);
    this.#filledAt = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }

  /** Takes what something cost more than was known before; the bucket may come to owe. */
  charge(tokens: number): void {
    this.#tokens -= tokens;
  }
}

/**
 * What frames cost that cost their sender nothing: so many a second, and the connection is lost
 * (CVE-2023-44487, CVE-2025-8671).
 *
 * @module
 */
import { TokenBucket } from "../../base/token_bucket.ts";
import { Code, H2Error } from "./frame.ts";

const CHEAP_FRAMES = { perSecond: 1_000, burst: 2_000 };
const RESETS = { perSecond: 100, burst: 1_000 };

export class FrameCosts {
  readonly #cheap: TokenBucket;
  readonly #resets: TokenBucket;

  constructor(now: () => number) {
    this.#cheap = new TokenBucket(CHEAP_FRAMES.perSecond, CHEAP_FRAMES.burst, now);
    this.#resets = new TokenBucket(RESETS.perSecond, RESETS.burst, now);
  }

  /** A frame that carries nothing. @throws H2Error */
  frame(kind: "control" | "empty" | "late"): void {
    if (!this.#cheap.take()) throw new H2Error(Code.EnhanceYourCalm, `too many ${kind} frames`);
  }

  /** A stream that is taken back, by either side. @throws H2Error */
  reset(): void {
    if (!this.#resets.take()) throw new H2Error(Code.EnhanceYourCalm, "too many resets");
  }
}

/**
 * Notices afterwards that this process was not let run: stopped, in a debugger, or busy with
 * something else. Netstack and the watchdog take that for the end of sbx, and end what depends on
 * it; what they then say is true and explains nothing.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";

const BEAT_MS = 1_000;

/** Less cannot have been the reason for an end: both count ten seconds. */
const LONG_MS = 5_000;

export class Pulse {
  readonly #now: () => number;
  readonly #beat: ReturnType<typeof setInterval>;
  #last: number;
  /** The last long gap, and when it was over. */
  #gap = { ms: 0, over: -Infinity };

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#last = now();
    this.#beat = setInterval(() => this.beat(), BEAT_MS);
    this.#beat.unref();
  }

  /** Called every second, when there is time for it. */
  beat(): void {
    const now = this.#now();
    if (now - this.#last > LONG_MS) this.#gap = { ms: now - this.#last, over: now };
    this.#last = now;
  }

  /** The reason, or this process's own share in it when it was held up just before. */
  explain(reason: SbxError | undefined): SbxError | undefined {
    this.beat();
    clearInterval(this.#beat);
    const lost = reason?.code === "NETSTACK_LOST" || reason?.code === "GUEST_LOST";
    if (!lost || this.#last - this.#gap.over > LONG_MS) return reason;
    const seconds = Math.round(this.#gap.ms / 1000);
    return new SbxError(
      reason.code,
      `Cannot go on: sbx was stopped or too busy for ${seconds} s, and its guest was ended`,
      { cause: reason },
    );
  }
}

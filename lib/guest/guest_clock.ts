/**
 * Keeps the guest's clock by the host's: set before the first command, and corrected while it runs,
 * since counters drift and a host that was suspended wakes up in another hour.
 *
 * One exchange gives the host's time before and after, and the guest's in between:
 *
 * ```
 * host   sent ───────────────────► received
 * guest          ──► time ──►                   sent ≤ (the host's time at that moment) ≤ received
 * ```
 *
 * The guest is set so that it is ahead by what is not known, never behind: `make` complains about
 * files from the future, and what a mount holds has the host's time.
 *
 * @module
 */

/** Microseconds since 1970 on both clocks. */
export interface Exchange {
  readonly sent: number;
  readonly guest: number;
  readonly received: number;
}

export interface Correction {
  readonly adjustUs: number;
  /** Gradually, so that the time never goes backwards. */
  readonly slew: boolean;
}

/** The guest's end: adjusts, and says what time it is then. */
export type AskClock = (correction: Correction) => Promise<number>;

const NONE: Correction = { adjustUs: 0, slew: false };

/** An exchange that took no longer is as good as it gets; others are tried again. */
const GOOD_US = 10_000;
const TRIES = 3;

/** Ahead by this much, a clock is set back at once; gradually it would take the kernel minutes. */
const STEP_BACK_US = 128_000;

/** Host and guest are compared this often, and at once after the host's clock has jumped. */
const PERIOD_MS = 10_000;
const LOOK_MS = 1_000;
const JUMP_MS = 100;

/** What the guest's clock needs, from the best exchange there is. Pure. */
export function correctionFor(
  { guest, received }: Pick<Exchange, "guest" | "received">,
): Correction {
  const ahead = guest - received; // for certain; below zero it may be behind
  if (ahead < 0) return { adjustUs: -ahead, slew: false };
  return ahead <= GOOD_US ? NONE : { adjustUs: -ahead, slew: ahead < STEP_BACK_US };
}

export class GuestClock {
  readonly #ask: AskClock;
  #timer: ReturnType<typeof setInterval> | undefined;
  #correcting: Promise<unknown> = Promise.resolve();

  constructor(ask: AskClock) {
    this.#ask = ask;
  }

  /**
   * Sets the clock; waits for a guest that still boots. Every exchange is time that a start takes, so
   * that this one answer has to do: the clock is ahead by as long as it was under way. Resolves when the
   * correction is on its way, before anything that is asked from then on; `set` when it was made.
   */
  async begin(): Promise<{ readonly set: Promise<unknown> }> {
    const guest = await this.#ask(NONE);
    const correction = correctionFor({ guest, received: receivedNow() });
    const set: Promise<unknown> = correction.adjustUs === 0
      ? Promise.resolve()
      : this.#ask(correction);
    set.catch(() => {}); // a start that is given up before it waits for it has its own reason
    return { set };
  }

  /** Sets it; resolves when that is done. */
  async set(): Promise<void> {
    await (await this.begin()).set;
  }

  /** Goes on setting it until `stop`. */
  keep(): void {
    let due = 0; // what a start had no time for
    let looked = performance.now();
    let skew = wallSkew();
    let busy = false;
    this.#timer = setInterval(() => {
      const now = performance.now();
      // A monotonic clock may or may not count the time of sleep: one of both shows it.
      const slept = now - looked > 2 * LOOK_MS || Math.abs(wallSkew() - skew) > JUMP_MS;
      looked = now;
      if (busy || (!slept && now < due)) return;
      busy = true;
      skew = wallSkew();
      due = now + PERIOD_MS;
      // A guest that does not answer any more is noticed by whoever needs it.
      this.#correcting = this.#correct().catch(() => this.stop()).finally(() => busy = false);
    }, LOOK_MS);
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The same; resolves once the guest is asked nothing any more. */
  async rest(): Promise<void> {
    this.stop();
    await this.#correcting;
  }

  async #correct(): Promise<void> {
    let best: Exchange | undefined;
    for (let tries = 0; tries < TRIES; tries++) {
      const exchange = await this.#exchange();
      if (best === undefined || length(exchange) < length(best)) best = exchange;
      if (length(best) <= GOOD_US) break;
    }
    if (best === undefined) return;
    const correction = correctionFor(best);
    if (correction.adjustUs !== 0) await this.#ask(correction);
  }

  async #exchange(): Promise<Exchange> {
    const sent = Date.now() * 1000;
    const guest = await this.#ask(NONE);
    return { sent, guest, received: receivedNow() };
  }
}

/** `Date.now()` has lost what is below a millisecond. */
function receivedNow(): number {
  return (Date.now() + 1) * 1000;
}

function length({ sent, received }: Exchange): number {
  return received - sent;
}

/** Constant until somebody sets the host's clock, or the host sleeps. */
function wallSkew(): number {
  return Date.now() - performance.now();
}

/**
 * Pings from end to end: were they answered half-way, a guest would take a dead server for alive, and
 * measure the way to sbx instead of the way to its server.
 *
 * @module
 */
import type { Buffer } from "node:buffer";

export interface Pinged {
  ping(payload: Buffer, ack: boolean): void;
}

/** What one side may leave unanswered; more are answered in the other's stead. */
const MAX_WAITING = 32;

/** Pings of one side to the other. */
export class Pings {
  readonly #from: Pinged;
  readonly #to: Pinged | null;
  readonly #waiting: Buffer[] = [];

  /** Without anybody to ask, pings are answered here. */
  constructor(from: Pinged, to: Pinged | null) {
    this.#from = from;
    this.#to = to;
  }

  /** `from` pings. */
  ask(payload: Buffer): void {
    if (this.#to === null || this.#waiting.length >= MAX_WAITING) {
      return this.#from.ping(payload, true);
    }
    this.#waiting.push(payload);
    this.#to.ping(payload, false);
  }

  /** `to` answers; answers to no question go nowhere. */
  answer(payload: Buffer): void {
    if (this.#waiting[0]?.equals(payload) !== true) return;
    this.#waiting.shift();
    this.#from.ping(payload, true);
  }
}

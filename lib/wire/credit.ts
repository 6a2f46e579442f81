/**
 * One direction of a stream on credit, as its receiver and as its sender have it. At most one window
 * of bytes is under way; the receiver gives back what its reader took. Pure.
 *
 * ```
 * receiver:  flowing ── end() ──► ended         discard(): what comes from then on is nobody's
 * sender:    budget ── push() ──► spent ── give() ──► budget
 * ```
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { ByteQueue } from "./byte_queue.ts";

/** The error for what the peer did and may not do: "it sent more than it may". */
export type Violation = (what: string) => Error;

/** Credit goes back in parts of a window: a frame for every small read would cost more than the read. */
const STEPS = 4;

export interface ReceiverSpec {
  /** Bytes that the sender may have under way. */
  readonly window: number;
  /** The sender may send so many more. */
  readonly credit: (bytes: number) => void;
  readonly violation: Violation;
}

export class CreditReceiver {
  readonly #spec: ReceiverSpec;
  readonly #unread = new ByteQueue();
  /** What the sender may still send. */
  #window: number;
  /** Read, and not given back yet. */
  #owed = 0;
  #ended = false;
  #discards = false;

  constructor(spec: ReceiverSpec) {
    this.#spec = spec;
    this.#window = spec.window;
  }

  /**
   * Takes bytes of the sender's; they are copied.
   *
   * @throws the violation, when it has no credit for them, has ended, or sends none
   */
  take(bytes: Uint8Array): void {
    const { violation } = this.#spec;
    if (this.#ended) throw violation("it sent bytes of a stream after its end");
    // Credit does not bound how many there are of these.
    if (bytes.length === 0) throw violation("it sent no bytes of a stream");
    if (bytes.length > this.#window) throw violation("it sent more than it may");
    this.#window -= bytes.length;
    if (!this.#discards) this.#unread.pushCopy(bytes);
  }

  /**
   * The sender has sent everything.
   *
   * @throws the violation, when it has said so before
   */
  end(): void {
    if (this.#ended) throw this.#spec.violation("it ended a stream twice");
    this.#ended = true;
  }

  /** Bytes for the reader, at most so many, in the pieces that they came in; null: none are there. */
  read(limit: number): Buffer | null {
    if (this.#unread.size === 0) return null;
    const bytes = this.#unread.take(limit);
    this.#repay(bytes.length);
    return bytes;
  }

  /** Nobody reads any more: what is there and what comes is dropped, and no credit is given for it. */
  discard(): void {
    this.#discards = true;
    this.#unread.clear();
  }

  /** The sender has sent everything. */
  get isEnded(): boolean {
    return this.#ended;
  }

  /** Bytes that wait for the reader. */
  get unread(): number {
    return this.#unread.size;
  }

  #repay(bytes: number): void {
    this.#owed += bytes;
    if (this.#owed < this.#spec.window / STEPS || this.#ended) return;
    this.#window += this.#owed;
    this.#spec.credit(this.#owed);
    this.#owed = 0;
  }
}

export interface SenderSpec {
  /** Bytes that may be under way. */
  readonly window: number;
  /** The most bytes that one frame has. */
  readonly maxPayload: number;
  /** Sends a frame's payload, which does not change before this turn of the event loop is over. */
  readonly data: (bytes: Uint8Array) => void;
  readonly violation: Violation;
}

export class CreditSender {
  readonly #spec: SenderSpec;
  #budget: number;

  constructor(spec: SenderSpec) {
    this.#spec = spec;
    this.#budget = spec.window;
  }

  /** Sends what there is credit for; the rest, which has to wait for more. */
  push(bytes: Uint8Array): Uint8Array {
    let rest = bytes;
    while (rest.length > 0 && this.#budget > 0) {
      const part = rest.subarray(0, Math.min(this.#budget, this.#spec.maxPayload));
      this.#budget -= part.length;
      this.#spec.data(part);
      rest = rest.subarray(part.length);
    }
    return rest;
  }

  /**
   * The receiver took so many bytes.
   *
   * @throws the violation, when it was never sent as many, or took none
   */
  give(bytes: number): void {
    if (bytes === 0 || this.#budget + bytes > this.#spec.window) {
      throw this.#spec.violation("it gave impossible credit");
    }
    this.#budget += bytes;
  }
}

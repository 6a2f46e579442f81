/**
 * What one HTTP/2 peer may send us: windows that shrink with its content, and are given back as that is
 * passed on (RFC 9113 5.2).
 *
 * Streams that stall would use up the connection's window in the end, and stall all others. So it is
 * given back early, on credit, while the budget that all connections share has room; what is passed on
 * later pays the loan back first.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import type { Budget } from "../budget.ts";
import { Code, encodeNumbers, FrameType, H2Error } from "./frame.ts";

export interface Windows {
  /** Content of one stream that may wait here, in bytes. */
  readonly streamWindow: number;
  /** Of all streams together, without a loan. */
  readonly window: number;
  /** What one connection may borrow. */
  readonly loan: number;
  readonly budget: Budget;
}

interface Stream {
  left: number;
  /** Passed on, not yet given back. */
  owed: number;
  /** The peer sends no more. */
  ended: boolean;
}

/** A frame for every piece would cost more than the piece. */
const SHARE = 1 / 4;

export class Inflow {
  readonly #windows: Windows;
  readonly #write: (frame: Buffer) => void;
  readonly #streams = new Map<number, Stream>();
  #left: number;
  #owed = 0;
  #borrowed = 0;

  constructor(windows: Windows, write: (frame: Buffer) => void) {
    this.#windows = windows;
    this.#write = write;
    this.#left = windows.window;
  }

  open(id: number): void {
    this.#streams.set(id, { left: this.#windows.streamWindow, owed: 0, ended: false });
  }

  /** The peer sends no more on the stream. */
  end(id: number): void {
    const stream = this.#streams.get(id);
    if (stream !== undefined) stream.ended = true;
  }

  /** False when it was not there (any more). */
  delete(id: number): boolean {
    return this.#streams.delete(id);
  }

  /** Counts a DATA frame, padding included. @throws H2Error when it overruns the connection. */
  take(bytes: number): void {
    this.#left -= bytes;
    if (this.#left < 0) throw new H2Error(Code.FlowControl, "more content than allowed");
    const { window, loan, budget } = this.#windows;
    const more = window * SHARE;
    if (this.#left >= more || this.#borrowed + more > loan || !budget.borrow(more)) return;
    this.#borrowed += more;
    this.#left += more;
    this.#write(encodeNumbers(FrameType.WindowUpdate, 0, more));
  }

  /** The connection is over: its loan is for others. */
  close(): void {
    this.#windows.budget.giveBack(this.#borrowed);
    this.#borrowed = 0;
  }

  /** As {@link take}, for its stream; false when it overruns that. */
  takeOf(id: number, bytes: number): boolean {
    const stream = this.#streams.get(id);
    if (stream === undefined) return false;
    stream.left -= bytes;
    return stream.left >= 0;
  }

  /** Lets the peer send as much again; on a stream that is gone, to the connection alone. */
  consumed(id: number, bytes: number): void {
    const { window, streamWindow, budget } = this.#windows;
    const paid = Math.min(bytes, this.#borrowed);
    this.#borrowed -= paid;
    budget.giveBack(paid);
    this.#owed += bytes - paid;
    if (this.#owed >= window * SHARE) {
      this.#write(encodeNumbers(FrameType.WindowUpdate, 0, this.#owed));
      this.#left += this.#owed;
      this.#owed = 0;
    }
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.ended) return;
    stream.owed += bytes;
    if (stream.owed < streamWindow * SHARE) return;
    this.#write(encodeNumbers(FrameType.WindowUpdate, id, stream.owed));
    stream.left += stream.owed;
    stream.owed = 0;
  }
}

/**
 * A redirected TCP flow as a Duplex: half-close in either direction, resets as destruction, and
 * credit so that neither side can make the other hold more than the window.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { SbxError } from "../base/errors.ts";
import { encodeCredit, encodeFrame, encodeHeader, FrameType, MAX_PAYLOAD } from "./mux_frame.ts";

/** Where the stream's frames go. */
export interface FrameSink {
  /** A frame in its parts, which are copied before the turn of the event loop is over. */
  send(...parts: readonly Uint8Array[]): void;
  /** The stream needs no more frames. */
  release(id: number): void;
}

type Done = (error?: Error | null) => void;

export class FlowStream extends Duplex {
  readonly #id: number;
  readonly #sink: FrameSink;
  /** The credit each direction started with. */
  readonly #full: number;
  /** What netstack may still send us. */
  #window: number;
  /** Read by the consumer, credit not yet given back. */
  #owed = 0;
  /** What we may still send. */
  #budget: number;
  /** What the budget did not suffice for; at most one write. */
  #waiting: { readonly bytes: Uint8Array; readonly done: Done } | null = null;
  #guestEnded = false;
  #weEnded = false;
  /** Received while the consumer was not reading, oldest first. */
  readonly #unread: Buffer[] = [];
  #wanted = false;

  constructor(id: number, sink: FrameSink, credit: number) {
    super({ allowHalfOpen: true, emitClose: true });
    this.#id = id;
    this.#sink = sink;
    this.#full = credit;
    this.#window = credit;
    this.#budget = credit;
  }

  /** @throws SbxError PROTOCOL when netstack overruns its credit or goes on after its end. */
  takeData(payload: Uint8Array): void {
    if (payload.length > this.#window || this.#guestEnded) {
      throw new SbxError("PROTOCOL", "Cannot follow netstack: it sent more than it may");
    }
    this.#window -= payload.length;
    this.#unread.push(Buffer.from(payload));
    this.#deliver();
  }

  takeEof(): void {
    this.#guestEnded = true;
    this.#deliver();
  }

  takeReset(): void {
    this.#weEnded = true;
    this.#guestEnded = true;
    this.destroy();
  }

  /** @throws SbxError PROTOCOL when netstack gives credit for what was never sent. */
  takeCredit(bytes: number): void {
    this.#budget += bytes;
    if (this.#budget > this.#full) {
      throw new SbxError("PROTOCOL", "Cannot follow netstack: it gave more credit than it owed");
    }
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting !== null) this.#transmit(waiting.bytes, waiting.done);
  }

  override _read(): void {
    this.#wanted = true;
    this.#deliver();
  }

  #deliver(): void {
    while (this.#wanted) {
      const chunk = this.#unread.shift();
      if (chunk === undefined) break;
      this.#repay(chunk.length);
      this.#wanted = this.push(chunk);
    }
    if (this.#guestEnded && this.#unread.length === 0) this.push(null);
  }

  /** Gives credit back in large pieces: a frame for every chunk would cost more than the chunk. */
  #repay(bytes: number): void {
    this.#owed += bytes;
    if (this.#owed < this.#full / 4 || this.#guestEnded) return;
    this.#window += this.#owed;
    this.#sink.send(encodeCredit(this.#id, this.#owed));
    this.#owed = 0;
  }

  override _write(chunk: Uint8Array, _encoding: string, done: Done): void {
    this.#transmit(chunk, done);
  }

  #transmit(bytes: Uint8Array, done: Done): void {
    let rest = bytes;
    while (rest.length > 0 && this.#budget > 0) {
      const part = rest.subarray(0, Math.min(this.#budget, MAX_PAYLOAD));
      this.#budget -= part.length;
      this.#sink.send(encodeHeader(FrameType.Data, this.#id, part.length), part);
      rest = rest.subarray(part.length);
    }
    if (rest.length === 0) done();
    else this.#waiting = { bytes: rest, done };
  }

  override _final(done: Done): void {
    this.#weEnded = true;
    this.#sink.send(encodeFrame(FrameType.Eof, this.#id));
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    if (!this.#weEnded || !this.#guestEnded) {
      this.#sink.send(encodeFrame(FrameType.Reset, this.#id));
    }
    this.#unread.length = 0;
    this.#waiting?.done(new Error("the flow was reset"));
    this.#waiting = null;
    this.#sink.release(this.#id);
    done(error);
  }
}

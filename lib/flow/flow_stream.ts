/**
 * A redirected TCP flow as a Duplex: half-close in either direction, resets as destruction, and
 * credit so that neither side can make the other hold more than the window.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { SbxError } from "../base/errors.ts";
import { encodeCredit, encodeFrame, FrameType, MAX_PAYLOAD, WINDOW } from "./mux_frame.ts";

/** Where the stream's frames go. */
export interface FrameSink {
  send(frame: Uint8Array): void;
  /** The stream needs no more frames. */
  release(id: number): void;
}

export class FlowStream extends Duplex {
  readonly #id: number;
  readonly #sink: FrameSink;
  /** What netstack may still send us. */
  #window = WINDOW;
  /** Read by the consumer, credit not yet given back. */
  #owed = 0;
  /** What we may still send. */
  #budget = WINDOW;
  #waiting: { bytes: Buffer; done: (error?: Error | null) => void } | undefined;
  #guestEnded = false;
  #weEnded = false;
  /** Received while the consumer was not reading, by size, oldest first. */
  #unread: Buffer[] = [];
  #wants = false;

  constructor(id: number, sink: FrameSink) {
    super({ allowHalfOpen: true, emitClose: true });
    this.#id = id;
    this.#sink = sink;
  }

  /** @throws SbxError PROTOCOL when netstack overruns its credit. */
  takeData(payload: Uint8Array): void {
    if (payload.length > this.#window) {
      throw new SbxError("PROTOCOL", "Cannot follow netstack: it overran its credit");
    }
    this.#window -= payload.length;
    if (this.destroyed) return;
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

  takeCredit(bytes: number): void {
    this.#budget += bytes;
    if (this.#budget > WINDOW) {
      throw new SbxError("PROTOCOL", "Cannot follow netstack: it gave more credit than it owed");
    }
    const waiting = this.#waiting;
    this.#waiting = undefined;
    if (waiting !== undefined) this.#emit(waiting.bytes, waiting.done);
  }

  override _read(): void {
    this.#wants = true;
    this.#deliver();
  }

  #deliver(): void {
    while (this.#wants) {
      const chunk = this.#unread.shift();
      if (chunk === undefined) break;
      this.#repay(chunk.length);
      this.#wants = this.push(chunk);
    }
    if (this.#guestEnded && this.#unread.length === 0 && !this.destroyed) this.push(null);
  }

  #repay(bytes: number): void {
    this.#owed += bytes;
    if (this.#owed < WINDOW / 4 || this.#guestEnded) return;
    this.#window += this.#owed;
    this.#sink.send(encodeCredit(this.#id, this.#owed));
    this.#owed = 0;
  }

  override _write(
    chunk: Uint8Array | string,
    encoding: string,
    done: (error?: Error | null) => void,
  ): void {
    const bytes = typeof chunk === "string"
      ? Buffer.from(chunk, encoding as "utf8")
      : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#emit(bytes, done);
  }

  #emit(bytes: Buffer, done: (error?: Error | null) => void): void {
    let rest = bytes;
    while (rest.length > 0 && this.#budget > 0) {
      const part = rest.subarray(0, Math.min(this.#budget, MAX_PAYLOAD));
      this.#budget -= part.length;
      this.#sink.send(encodeFrame(FrameType.Data, this.#id, part));
      rest = rest.subarray(part.length);
    }
    if (rest.length === 0) done();
    else this.#waiting = { bytes: rest, done };
  }

  override _final(done: (error?: Error | null) => void): void {
    this.#weEnded = true;
    this.#sink.send(encodeFrame(FrameType.Eof, this.#id));
    done();
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (!this.#weEnded || !this.#guestEnded) {
      this.#sink.send(encodeFrame(FrameType.Reset, this.#id));
    }
    this.#unread = [];
    this.#waiting?.done(new Error("the flow was reset"));
    this.#waiting = undefined;
    this.#sink.release(this.#id);
    done(error);
  }
}

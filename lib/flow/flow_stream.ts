/**
 * A redirected TCP flow as a Duplex: half-close in either direction, resets as destruction, and
 * credit so that neither side can make the other hold more than the window.
 *
 * @module
 */
import { Duplex } from "node:stream";
import { SbxError } from "../base/errors.ts";
import { CreditReceiver, CreditSender } from "../wire/credit.ts";
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
  readonly #receiver: CreditReceiver;
  readonly #sender: CreditSender;
  /** What the credit did not suffice for; at most one write. */
  #waiting: { readonly bytes: Uint8Array; readonly done: Done } | null = null;
  #weEnded = false;
  #isReset = false;
  #wanted = false;

  constructor(id: number, sink: FrameSink, credit: number) {
    // One piece at most waits in the stream itself, which would keep an object for each, however small.
    super({ allowHalfOpen: true, emitClose: true, readableHighWaterMark: 1 });
    this.#id = id;
    this.#sink = sink;
    this.#receiver = new CreditReceiver({
      window: credit,
      credit: (bytes) => sink.send(encodeCredit(id, bytes)),
      violation,
    });
    this.#sender = new CreditSender({
      window: credit,
      maxPayload: MAX_PAYLOAD,
      data: (bytes) => sink.send(encodeHeader(FrameType.Data, id, bytes.length), bytes),
      violation,
    });
  }

  /** @throws SbxError PROTOCOL when netstack overruns its credit, sends nothing, or goes on after its end. */
  takeData(payload: Uint8Array): void {
    this.#receiver.take(payload);
    this.#deliver();
  }

  /** @throws SbxError PROTOCOL when it ended before. */
  takeEof(): void {
    this.#receiver.end();
    this.#deliver();
  }

  takeReset(): void {
    this.#isReset = true;
    this.destroy();
  }

  /** @throws SbxError PROTOCOL when netstack gives credit for what was never sent. */
  takeCredit(bytes: number): void {
    this.#sender.give(bytes);
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
      const chunk = this.#receiver.read(MAX_PAYLOAD);
      if (chunk === null) break;
      this.#wanted = this.push(chunk);
    }
    if (this.#receiver.isEnded && this.#receiver.unread === 0) this.push(null);
  }

  override _write(chunk: Uint8Array, _encoding: string, done: Done): void {
    this.#transmit(chunk, done);
  }

  #transmit(bytes: Uint8Array, done: Done): void {
    const rest = this.#sender.push(bytes);
    if (rest.length === 0) done();
    else this.#waiting = { bytes: rest, done };
  }

  override _final(done: Done): void {
    this.#weEnded = true;
    this.#sink.send(encodeFrame(FrameType.Eof, this.#id));
    done();
  }

  override _destroy(error: Error | null, done: Done): void {
    const isOver = this.#isReset || this.#weEnded && this.#receiver.isEnded;
    if (!isOver) this.#sink.send(encodeFrame(FrameType.Reset, this.#id));
    this.#receiver.discard();
    this.#waiting?.done(new Error("the flow was reset"));
    this.#waiting = null;
    this.#sink.release(this.#id);
    done(error);
  }
}

function violation(what: string): SbxError {
  return new SbxError("PROTOCOL", `Cannot follow netstack: ${what}`);
}

/**
 * What one HTTP/2 peer is to be sent, as fast as its windows allow (RFC 9113 5.2): content of streams,
 * in turns, and what follows it.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { ByteQueue } from "../../wire/byte_queue.ts";
import type { Field } from "../fields.ts";
import { Code, Flag, frameHeader, FrameType, H2Error, MAX_PAYLOAD, MAX_WINDOW } from "./frame.ts";

interface Stream {
  window: number;
  readonly queue: ByteQueue;
  /** Set when nothing comes after what is queued but this. */
  ending: Ending | null;
}

/** How a stream ends towards its peer, once everything before was sent. */
export type Ending =
  | { readonly kind: "end"; readonly trailers: readonly Field[] }
  /** Its content is not all that it should have been: no peer may take it for whole. */
  | { readonly kind: "reset"; readonly code: number };

export interface OutflowSink {
  /** Frames to write, in order. */
  write(...parts: readonly Buffer[]): void;
  /** Trailers are encoded when their turn comes: the table follows the order on the wire. */
  writeTrailers(stream: number, trailers: readonly Field[]): void;
  /** Its turn has come to be given up. */
  writeReset(stream: number, code: number): void;
  /** So many bytes of the stream's content are off our hands. */
  sent(stream: number, bytes: number): void;
  /** The last of the stream was written. */
  finished(stream: number): void;
}

export class Outflow {
  readonly #sink: OutflowSink;
  readonly #streams = new Map<number, Stream>();
  /** Those with something to send, the next one first. */
  readonly #turns = new Set<number>();
  #window = 65_535;
  #initialWindow = 65_535;

  constructor(sink: OutflowSink) {
    this.#sink = sink;
  }

  open(id: number): void {
    const stream = { window: this.#initialWindow, queue: new ByteQueue(), ending: null };
    this.#streams.set(id, stream);
  }

  /** Whether something of the stream may still be sent. */
  has(id: number): boolean {
    return this.#streams.has(id);
  }

  /** Forgets the stream; what was queued counts as sent. */
  drop(id: number): void {
    const stream = this.#streams.get(id);
    if (stream === undefined) return;
    this.#streams.delete(id);
    this.#turns.delete(id);
    if (stream.queue.size > 0) this.#sink.sent(id, stream.queue.size);
  }

  data(id: number, bytes: Buffer): void {
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.ending !== null) return this.#sink.sent(id, bytes.length);
    stream.queue.push(bytes);
    this.#turns.add(id);
  }

  end(id: number, ending: Ending): void {
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.ending !== null) return;
    stream.ending = ending;
    this.#turns.add(id);
  }

  /** @throws H2Error when a window outgrows its bound (RFC 9113 6.5.2). */
  setInitialWindow(bytes: number): void {
    const change = bytes - this.#initialWindow;
    this.#initialWindow = bytes;
    for (const [id, stream] of this.#streams) {
      stream.window += change;
      if (stream.window > MAX_WINDOW) throw overflow();
      if (stream.queue.size > 0 || stream.ending !== null) this.#turns.add(id);
    }
  }

  /** False when the stream's window outgrew its bound: an error of the stream. @throws H2Error */
  credit(id: number, bytes: number): boolean {
    if (id === 0) {
      this.#window += bytes;
      if (this.#window > MAX_WINDOW) throw overflow();
      return true;
    }
    const stream = this.#streams.get(id);
    if (stream === undefined) return true;
    stream.window += bytes;
    if (stream.queue.size > 0) this.#turns.add(id);
    return stream.window <= MAX_WINDOW;
  }

  /** Writes at most about `limit` bytes; false when there is nothing (more) that may be sent. */
  pump(limit: number): boolean {
    let left = limit;
    for (const id of this.#turns) {
      if (left <= 0) return true;
      const stream = this.#streams.get(id);
      this.#turns.delete(id);
      if (stream === undefined) continue;
      const bytes = Math.min(stream.window, this.#window, MAX_PAYLOAD);
      if (stream.queue.size > 0 && bytes <= 0) {
        // A closed window of the stream waits for its credit; one of the connection, for any.
        if (stream.window > 0) {
          this.#turns.add(id);
          return false;
        }
        continue;
      }
      left -= this.#send(id, stream, bytes);
    }
    return false;
  }

  #send(id: number, stream: Stream, bytes: number): number {
    const part = stream.queue.size > 0 ? stream.queue.take(bytes) : null;
    const length = part?.length ?? 0;
    const ending = stream.queue.size === 0 ? stream.ending : null;
    const ends = ending?.kind === "end";
    const plainly = ends && ending.trailers.length === 0;
    if (part !== null || plainly) {
      this.#sink.write(frameHeader(FrameType.Data, plainly ? Flag.EndStream : 0, id, length));
      if (part !== null) this.#sink.write(part);
    }
    if (ends && !plainly) this.#sink.writeTrailers(id, ending.trailers);
    stream.window -= length;
    this.#window -= length;
    if (length > 0) this.#sink.sent(id, length);
    if (ending !== null) this.#streams.delete(id);
    else if (stream.queue.size > 0) this.#turns.add(id);
    if (ends) this.#sink.finished(id);
    else if (ending !== null) this.#sink.writeReset(id, ending.code);
    return length + 9;
  }
}

function overflow(): H2Error {
  return new H2Error(Code.FlowControl, "a window too large");
}

/**
 * What one HTTP/2 peer is to be sent, as fast as its windows allow (RFC 9113 5.2): content of streams,
 * in turns, and what follows it.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { ByteQueue } from "./byte_queue.ts";
import type { Field } from "./fields.ts";
import {
  Code,
  Flag,
  frameHeader,
  FrameType,
  H2Error,
  MAX_PAYLOAD,
  MAX_WINDOW,
} from "./h2_frame.ts";

interface Stream {
  window: number;
  readonly queue: ByteQueue;
  /** Set when nothing comes after what is queued, but for these trailers. */
  end: { readonly trailers: readonly Field[] } | null;
}

export interface OutflowSink {
  /** Frames to write, in order. */
  write(...parts: readonly Buffer[]): void;
  /** Trailers are encoded when their turn comes: the table follows the order on the wire. */
  writeTrailers(stream: number, trailers: readonly Field[]): void;
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
    const stream = { window: this.#initialWindow, queue: new ByteQueue(), end: null };
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
    if (stream === undefined || stream.end !== null) return this.#sink.sent(id, bytes.length);
    stream.queue.push(bytes);
    this.#turns.add(id);
  }

  end(id: number, trailers: readonly Field[]): void {
    const stream = this.#streams.get(id);
    if (stream === undefined || stream.end !== null) return;
    stream.end = { trailers };
    this.#turns.add(id);
  }

  /** @throws H2Error when a window outgrows its bound (RFC 9113 6.5.2). */
  setInitialWindow(bytes: number): void {
    const change = bytes - this.#initialWindow;
    this.#initialWindow = bytes;
    for (const [id, stream] of this.#streams) {
      stream.window += change;
      if (stream.window > MAX_WINDOW) throw overflow();
      if (stream.queue.size > 0 || stream.end !== null) this.#turns.add(id);
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
    const { end } = stream;
    const last = end !== null && stream.queue.size === 0;
    const trailers = last && end.trailers.length > 0 ? end.trailers : null;
    if (part !== null || (last && trailers === null)) {
      const flags = last && trailers === null ? Flag.EndStream : 0;
      this.#sink.write(frameHeader(FrameType.Data, flags, id, length));
      if (part !== null) this.#sink.write(part);
    }
    if (trailers !== null) this.#sink.writeTrailers(id, trailers);
    stream.window -= length;
    this.#window -= length;
    if (length > 0) this.#sink.sent(id, length);
    if (last) {
      this.#streams.delete(id);
      this.#sink.finished(id);
    } else if (stream.queue.size > 0) this.#turns.add(id);
    return length + 9;
  }
}

function overflow(): H2Error {
  return new H2Error(Code.FlowControl, "a window too large");
}

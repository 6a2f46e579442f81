/**
 * A multipart body in pieces (RFC 2046 5.1): which bytes are the content of a part, and which are what
 * stands between. Bounded: a line of delimiters and the head of a part are all that is ever held.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** Where the reader is. */
type Place =
  | "content" // of a part, or what stands before the first one
  | "head" // of a part, its delimiter included
  | "rest"; // behind the last delimiter, or behind a head that is none

export interface MultipartSink {
  /** The content of a part, or a piece of it; also of what stands before and behind all parts. */
  content(bytes: Buffer): void;
  /** The content is complete. */
  contentEnds(): void;
  /** Delimiters and heads. `head`: of the part that begins behind these bytes; null: none does any more. */
  between(bytes: Buffer, head: string | null): void;
}

/** A part's head is a few lines; one that goes on is a body without end in disguise. */
const MOST_HEAD = 8_192;

const HEAD_END = "\r\n\r\n";

export class MultipartReader {
  readonly #delimiter: Buffer;
  readonly #sink: MultipartSink;
  #place: Place = "content";
  #held: Buffer;
  /** Up to where the end of a head was looked for. */
  #searched = 0;
  /** How much of what is held is not from the body. */
  #invented = 2;

  constructor(boundary: string, sink: MultipartSink) {
    this.#delimiter = Buffer.from(`\r\n--${boundary}`, "latin1");
    this.#sink = sink;
    // The first delimiter needs no line end before it.
    this.#held = Buffer.from("\r\n");
  }

  push(bytes: Uint8Array): void {
    this.#held = Buffer.concat([this.#held, bytes]);
    while (this.#read());
  }

  /** A body that ends in the middle of something ends there; its receiver knows what to make of it. */
  end(): void {
    const rest = this.#take(this.#held.length);
    if (this.#place === "head") return this.#sink.between(rest, null);
    this.#sink.content(rest);
    this.#sink.contentEnds();
  }

  /** One step; whether there may be another. */
  #read(): boolean {
    switch (this.#place) {
      case "content": {
        const at = this.#held.indexOf(this.#delimiter);
        const content = at < 0 ? this.#held.length - this.#delimiter.length + 1 : at;
        if (content > 0) this.#sink.content(this.#take(content));
        if (at < 0) return false;
        this.#sink.contentEnds();
        this.#place = "head";
        this.#searched = 0;
        return true;
      }
      case "head":
        return this.#readHead();
      case "rest":
        this.#sink.content(this.#take(this.#held.length));
        return false;
    }
  }

  #readHead(): boolean {
    const from = this.#delimiter.length;
    if (this.#held.length < from + 2) return false;
    const isLast = this.#held.toString("latin1", from, from + 2) === "--";
    const end = isLast ? -1 : this.#held.indexOf(HEAD_END, Math.max(from, this.#searched));
    this.#searched = Math.max(0, this.#held.length - HEAD_END.length + 1);
    if (isLast || end < 0 && this.#held.length > MOST_HEAD) {
      this.#place = "rest";
      this.#sink.between(this.#take(0), null);
      return true;
    }
    if (end < 0) return false;
    const head = this.#held.toString("latin1", from, end);
    this.#place = "content";
    this.#sink.between(this.#take(end + HEAD_END.length), head);
    return true;
  }

  #take(count: number): Buffer {
    const taken = this.#held.subarray(Math.min(count, this.#invented), count);
    this.#invented = Math.max(0, this.#invented - count);
    this.#held = this.#held.subarray(count);
    return taken;
  }
}

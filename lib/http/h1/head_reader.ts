/**
 * Collects the bytes of a head until its empty line, however they are cut. Pure.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { MalformedHttp } from "../malformed.ts";

/** A head's text without its empty line, one character a byte, and the bytes that came after it. */
export interface WholeHead {
  readonly text: string;
  readonly rest: Buffer;
}

const END = Buffer.from("\r\n\r\n");

export class HeadReader {
  readonly #limit: number;
  readonly #forgiving: boolean;
  #held: Buffer = Buffer.alloc(0);
  #length = 0;
  /** Of empty lines before the head, which count as part of it. */
  #skipped = 0;

  /** `limit`: bytes of a head. `forgiving`: empty lines may come first (RFC 9112 2.2). */
  constructor(limit: number, forgiving: boolean) {
    this.#limit = limit;
    this.#forgiving = forgiving;
  }

  /** Whether part of a head is held; empty lines before it are none. */
  get started(): boolean {
    return this.#length > 0;
  }

  /** Null when more is needed. @throws MalformedHttp when the head is too long or no head. */
  push(chunk: Buffer): WholeHead | null {
    const bytes = this.#skipEmptyLines(this.#length === 0 ? chunk : this.#append(chunk));
    // Where the last search ended, less what may be the beginning of the empty line.
    const from = Math.max(0, bytes.length - chunk.length - 3);
    const most = Math.max(0, this.#limit - this.#skipped);
    // What lies behind is read or not as the bytes are cut, and decides nothing.
    const head = bytes.subarray(0, most + END.length);
    const end = head.indexOf(END, from);
    refuseBareLines(end < 0 ? head : head.subarray(0, end), from);
    if (end >= 0) {
      this.#length = 0;
      this.#skipped = 0;
      return { text: bytes.toString("latin1", 0, end), rest: bytes.subarray(end + END.length) };
    }
    if (head.length === most + END.length) {
      throw new MalformedHttp(`a head of more than ${this.#limit} bytes`, "request-limit");
    }
    if (this.#length === 0) this.#append(bytes);
    return null;
  }

  /** All of them, as servers do: some clients end a body with one (RFC 9112 2.2). */
  #skipEmptyLines(bytes: Buffer): Buffer {
    if (!this.#forgiving) return bytes;
    let at = 0;
    while (bytes[at] === 13 && bytes[at + 1] === 10) at += 2;
    if (at === 0) return bytes;
    this.#skipped += at;
    if (this.#skipped > this.#limit) {
      throw new MalformedHttp("empty lines without end", "request-limit");
    }
    this.#length = 0; // of which a carriage return may have been held
    return bytes.subarray(at);
  }

  /** Keeps the bytes behind those held, in room that doubles: one byte at a time costs no square. */
  #append(chunk: Buffer): Buffer {
    const length = this.#length + chunk.length;
    if (length > this.#held.length) {
      const room = Buffer.allocUnsafe(Math.max(1024, 2 * length));
      this.#held.copy(room, 0, 0, this.#length);
      this.#held = room;
    }
    chunk.copy(this.#held, this.#length);
    this.#length = length;
    return this.#held.subarray(0, length);
  }
}

/** A head of bare line feeds has no end; its sender would wait for an answer. */
function refuseBareLines(bytes: Buffer, from: number): void {
  for (let at = bytes.indexOf(10, from); at >= 0; at = bytes.indexOf(10, at + 1)) {
    if (bytes[at - 1] !== 13) throw new MalformedHttp("a line that ends without CR");
  }
}

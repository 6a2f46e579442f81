/**
 * Bodies of HTTP/1 messages, incrementally: bytes in, content out. Pure.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { HttpLimits } from "../exchange.ts";
import { endToEndTrailers, type Field } from "../fields.ts";
import { MalformedHttp } from "../malformed.ts";
import type { Framing } from "./framing.ts";
import { parseFields, writeFields } from "./head.ts";

/** What one piece of a connection held of a body. */
export interface BodyPart {
  readonly content: readonly Buffer[];
  /** Bytes of the piece that belong to the body; what follows is the next message. */
  readonly used: number;
}

/** One body. `done` is true from the start for a message without. */
export interface BodyReader {
  readonly done: boolean;
  /** Of a chunked body, when it is done. */
  readonly trailers: readonly Field[];
  /** @throws MalformedHttp */
  read(bytes: Buffer): BodyPart;
  /** The sender closed. @throws MalformedHttp when the body was not complete. */
  close(): void;
}

export function bodyReader(framing: Framing, limits: HttpLimits): BodyReader {
  switch (framing.kind) {
    case "none":
      return new LengthReader(0);
    case "length":
      return new LengthReader(framing.length);
    case "chunked":
      return new ChunkedReader(limits);
    case "close":
      return new CloseReader();
  }
}

function truncated(): MalformedHttp {
  return new MalformedHttp("a body that was cut short");
}

class LengthReader implements BodyReader {
  readonly trailers = [];
  #left: number;

  constructor(length: number) {
    this.#left = length;
  }

  get done(): boolean {
    return this.#left === 0;
  }

  read(bytes: Buffer): BodyPart {
    const used = Math.min(this.#left, bytes.length);
    this.#left -= used;
    return { content: used === 0 ? [] : [bytes.subarray(0, used)], used };
  }

  close(): void {
    if (!this.done) throw truncated();
  }
}

class CloseReader implements BodyReader {
  readonly trailers = [];
  done = false;

  read(bytes: Buffer): BodyPart {
    return { content: [bytes], used: bytes.length };
  }

  close(): void {
    this.done = true;
  }
}

/** RFC 9112 7.1: extensions are for the connection and end here. */
const SIZE_LINE = /^([0-9A-Fa-f]{1,12})[ \t]*(?:;[\t\x20-\x7e\x80-\xff]*)?$/;

/** A size line with its extensions. */
const MAX_SIZE_LINE = 1024;

/** SIZE → CONTENT → CONTENT_END → SIZE …, after the last chunk TRAILERS → DONE. */
type State = "size" | "content" | "content-end" | "trailers" | "done";

class ChunkedReader implements BodyReader {
  trailers: readonly Field[] = [];
  readonly #limits: HttpLimits;
  #state: State = "size";
  #left = 0;
  /** Of the line that is being read. */
  #line = "";
  #lines: string[] = [];
  #trailerBytes = 0;

  constructor(limits: HttpLimits) {
    this.#limits = limits;
  }

  get done(): boolean {
    return this.#state === "done";
  }

  read(bytes: Buffer): BodyPart {
    const content: Buffer[] = [];
    let at = 0;
    while (at < bytes.length && this.#state !== "done") {
      if (this.#state === "content") {
        const part = bytes.subarray(at, at + this.#left);
        content.push(part);
        this.#left -= part.length;
        at += part.length;
        if (this.#left === 0) this.#state = "content-end";
      } else {
        at = this.#readLine(bytes, at);
      }
    }
    return { content, used: at };
  }

  close(): void {
    if (!this.done) throw truncated();
  }

  #readLine(bytes: Buffer, from: number): number {
    const end = bytes.indexOf(10, from);
    const to = end < 0 ? bytes.length : end;
    const limit = this.#state === "trailers" ? this.#limits.headBytes : MAX_SIZE_LINE;
    if (this.#line.length + to - from > limit) throw new MalformedHttp("an endless line");
    this.#line += bytes.toString("latin1", from, to);
    if (end < 0) return to;
    if (!this.#line.endsWith("\r")) throw new MalformedHttp("a line that ends without CR");
    const line = this.#line.slice(0, -1);
    this.#line = "";
    this.#takeLine(line);
    return end + 1;
  }

  #takeLine(line: string): void {
    if (this.#state === "content-end") {
      if (line !== "") throw new MalformedHttp("a chunk longer than its size");
      this.#state = "size";
    } else if (this.#state === "size") {
      const match = SIZE_LINE.exec(line);
      if (match === null) throw new MalformedHttp("a malformed chunk size");
      this.#left = parseInt(match[1] ?? "", 16);
      this.#state = this.#left > 0 ? "content" : "trailers";
    } else if (line !== "") {
      this.#trailerBytes += line.length;
      this.#lines.push(line);
      const { headBytes, headFields } = this.#limits;
      if (this.#trailerBytes > headBytes || this.#lines.length > headFields) {
        throw new MalformedHttp("too many trailers", "request-limit");
      }
    } else {
      this.trailers = endToEndTrailers(parseFields(this.#lines, 0, this.#limits));
      this.#state = "done";
    }
  }
}

const CRLF = Buffer.from("\r\n");

/** Frames content for the next recipient; an empty list when there is nothing to send. */
export function writeContent(framing: Framing, content: readonly Buffer[]): readonly Buffer[] {
  if (framing.kind !== "chunked" || content.length === 0) return content;
  const size = content.reduce((sum, part) => sum + part.length, 0);
  return [Buffer.from(`${size.toString(16)}\r\n`), ...content, CRLF];
}

/** What follows the last content. */
export function writeEnd(framing: Framing, trailers: readonly Field[]): readonly Buffer[] {
  if (framing.kind !== "chunked") return [];
  return [Buffer.from(`0\r\n${writeFields(trailers)}`, "latin1")];
}

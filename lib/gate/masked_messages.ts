/**
 * Messages of gRPC and Connect in an answer, with values replaced in them. Both sides of such a call may
 * wait for each other's next message, so that none may be held back for the sake of one behind it: what
 * looks like the beginning of a value at its end goes on with it. A value lies in one message, and what
 * stands for it is as long, so that lengths inside and outside stay true.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { recalling } from "../base/recall.ts";
import type { MaskFilter } from "./masked_content.ts";
import { unreadable } from "./unreadable.ts";

/** gRPC, its form for browsers in bytes, and the streams of Connect. */
const TYPE = /^application\/(?:grpc(?:-web)?(?:\+[a-z0-9.-]{1,64})?|connect\+[a-z0-9.-]{1,64})$/;

/** Whether a body of this Content-Type is such messages. */
export const isMessages = recalling((contentType) => {
  const [type = ""] = contentType.split(";");
  return TYPE.test(type.trim().toLowerCase());
});

/** Flags in one byte, and how many bytes the message has, in four. */
const ENVELOPE = 5;

/** None, the last of Connect, the trailers of gRPC-Web. Compressed ones were not asked for. */
const FLAGS: ReadonlySet<number> = new Set([0, 2, 0x80]);

export class MaskedMessages implements MaskFilter {
  readonly #body: MaskFilter;
  /** Of the envelope, how much was read, and the length that it states so far. */
  #read = 0;
  #length = 0;
  /** Bytes of the message that are still to come. */
  #left = 0;

  /** For a text that keeps its length. */
  constructor(body: MaskFilter) {
    this.#body = body;
  }

  /** @throws GateRefusal secret-unreadable */
  push(bytes: Uint8Array): Buffer {
    const out: Uint8Array[] = [];
    for (let at = 0; at < bytes.length;) {
      const part = this.#left === 0
        ? bytes.subarray(at, at + ENVELOPE - this.#read)
        : bytes.subarray(at, at + this.#left);
      at += part.length;
      out.push(...this.#left === 0 ? this.#envelope(part) : this.#message(part));
    }
    return Buffer.concat(out);
  }

  /** What is left of a message that was cut short. */
  end(): Buffer {
    return this.#body.end();
  }

  get masked(): MaskFilter["masked"] {
    return this.#body.masked;
  }

  #envelope(part: Uint8Array): readonly Uint8Array[] {
    for (const byte of part) {
      if (this.#read++ > 0) this.#length = this.#length * 256 + byte;
      else if (!FLAGS.has(byte)) throw unreadable("a message that is compressed, or none");
    }
    if (this.#read === ENVELOPE) {
      this.#left = this.#length;
      this.#read = this.#length = 0;
    }
    return [part];
  }

  #message(part: Uint8Array): readonly Uint8Array[] {
    this.#left -= part.length;
    const masked = this.#body.push(part);
    return this.#left === 0 ? [masked, this.#body.end()] : [masked];
  }
}

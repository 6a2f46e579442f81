/**
 * What a server sends over a WebSocket (RFC 6455 5.2), with values replaced in the payloads, also where
 * a message is cut into frames. Each keeps its length, so that the frames stay as they are.
 *
 * Frames that cannot be read end the tunnel: compressed ones, which nobody asked for, and such as no
 * server may send.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { BodyTransform } from "../http/gate.ts";
import type { MaskFilter } from "./masked_content.ts";
import { unreadable } from "./unreadable.ts";

/** Heads and control frames that wait for what stands before them; no server needs a tenth. */
const MOST_WAITING = 1_024;

/** Bytes that go on as they are once so many of the payload have. */
interface Waiting {
  readonly after: number;
  readonly bytes: Buffer;
}

interface Frame {
  readonly isControl: boolean;
  readonly isLast: boolean;
  /** Bytes of the payload that are still to come. */
  left: number;
}

export class MaskedFrames implements BodyTransform {
  readonly #messages: MaskFilter;
  readonly #controls: MaskFilter;
  readonly #waiting: Waiting[] = [];
  /** Bytes of a head, until it is whole. */
  #head: Buffer = NOTHING;
  #frame: Frame | null = null;
  /** Bytes of the payload that were read, and of those that were given. */
  #read = 0;
  #given = 0;
  #out: Buffer[] = [];

  /** `open`: for a text that keeps its length. */
  constructor(open: () => MaskFilter) {
    this.#messages = open();
    this.#controls = open();
  }

  push(bytes: Buffer): Buffer {
    for (let rest = bytes; rest.length > 0;) {
      const frame = this.#frame;
      rest = frame === null ? this.#readHead(rest) : this.#readPayload(frame, rest);
    }
    return this.#taken();
  }

  /** What is left of a tunnel that ends in the middle of a message. */
  end(): Buffer {
    this.#give(this.#messages.end());
    this.#pass(this.#controls.end());
    this.#pass(this.#head);
    this.#head = NOTHING;
    return this.#taken();
  }

  get masked(): MaskFilter["masked"] {
    return [...this.#messages.masked, ...this.#controls.masked];
  }

  #readHead(bytes: Buffer): Buffer {
    const had = this.#head.length;
    const head = Buffer.concat([this.#head, bytes.subarray(0, LONGEST_HEAD - had)]);
    const length = headLength(head);
    if (head.length < length) {
      this.#head = head;
      return bytes.subarray(bytes.length);
    }
    this.#head = NOTHING;
    this.#pass(head.subarray(0, length));
    this.#begin(readFrame(head));
    return bytes.subarray(length - had);
  }

  #begin(frame: Frame): void {
    this.#frame = frame;
    if (frame.left === 0) this.#endFrame(frame);
  }

  #readPayload(frame: Frame, bytes: Buffer): Buffer {
    const part = bytes.subarray(0, frame.left);
    frame.left -= part.length;
    if (frame.isControl) this.#pass(this.#controls.push(part));
    else {
      this.#read += part.length;
      this.#give(this.#messages.push(part));
    }
    if (frame.left === 0) this.#endFrame(frame);
    return bytes.subarray(part.length);
  }

  /** A value lies in one message, which may have control frames between its frames. */
  #endFrame({ isControl, isLast }: Frame): void {
    this.#frame = null;
    if (isControl) this.#pass(this.#controls.end());
    else if (isLast) this.#give(this.#messages.end());
  }

  /** Goes on behind the payload that was read before it. */
  #pass(bytes: Buffer): void {
    if (bytes.length === 0) return;
    if (this.#given === this.#read) return void this.#out.push(bytes);
    if (this.#waiting.length === MOST_WAITING) throw unreadable("endless empty frames");
    this.#waiting.push({ after: this.#read, bytes });
  }

  #give(payload: Buffer): void {
    let rest = payload;
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      const before = next.after - this.#given;
      if (before > rest.length) break;
      this.#out.push(rest.subarray(0, before), next.bytes);
      this.#given += before;
      rest = rest.subarray(before);
      this.#waiting.shift();
    }
    this.#out.push(rest);
    this.#given += rest.length;
  }

  #taken(): Buffer {
    const out = Buffer.concat(this.#out);
    this.#out = [];
    return out;
  }
}

const NOTHING = Buffer.alloc(0);

/** Of a server's frame, which has no key. */
const LONGEST_HEAD = 10;

/** As far as its first two bytes tell. */
function headLength(head: Buffer): number {
  const short = (head[1] ?? 0) & 0x7f;
  return head.length < 2 || short < 126 ? 2 : short === 126 ? 4 : LONGEST_HEAD;
}

function readFrame(head: Buffer): Frame {
  const [first = 0, second = 0] = head;
  if ((first & 0x70) !== 0) throw unreadable("frames of an extension that was not asked for");
  if ((second & 0x80) !== 0) throw unreadable("frames with a key, which servers do not have");
  const isControl = (first & 0x08) !== 0;
  const short = second & 0x7f;
  if (isControl && short > 125) throw unreadable("a control frame that is too long");
  const left = short < 126
    ? short
    : short === 126
    ? head.readUInt16BE(2)
    : Number(head.readBigUInt64BE(2));
  if (!Number.isSafeInteger(left)) throw unreadable("a frame without an end");
  return { isControl, isLast: (first & 0x80) !== 0, left };
}

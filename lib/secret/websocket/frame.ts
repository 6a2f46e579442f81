/**
 * Frames of WebSockets (RFC 6455 5), read while they come: heads, and payloads without their masks.
 *
 * Extensions are not spoken: a frame with a bit of one is none that could be read, as is one whose length
 * is written with more bytes than it takes.
 *
 * @module
 */

import { Buffer } from "node:buffer";

export const Opcode = { Continuation: 0, Text: 1, Binary: 2, Close: 8, Ping: 9, Pong: 10 } as const;

const OPCODES: ReadonlySet<number> = new Set(Object.values(Opcode));

/** What came is no WebSocket. */
export class FrameFault extends Error {
  override readonly name = "FrameFault";
}

export interface FrameHead {
  /** The message ends with it. */
  readonly last: boolean;
  readonly opcode: number;
  /** Of the payload, in bytes. */
  readonly length: number;
  /** What the payload is masked with; null: a server's frame. */
  readonly mask: Buffer | null;
}

export interface FrameSink {
  begin(head: FrameHead): void;
  /** Unmasked; of its own memory. */
  payload(bytes: Buffer): void;
  end(head: FrameHead): void;
}

export function isControl(opcode: number): boolean {
  return opcode >= Opcode.Close;
}

/** 5.5 */
const MOST_CONTROL = 125;

export class FrameReader {
  readonly #sink: FrameSink;
  /** Whether frames have to be masked: a client's have, a server's must not. */
  readonly #masked: boolean;
  readonly #held = Buffer.alloc(14);
  #have = 0;
  #head: FrameHead | null = null;
  #left = 0;
  /** Which byte of the mask is next. */
  #turn = 0;
  /** A message has begun and is not over. */
  #underway = false;

  constructor(from: "client" | "server", sink: FrameSink) {
    this.#masked = from === "client";
    this.#sink = sink;
  }

  /** @throws FrameFault */
  push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length;) {
      at = this.#head === null
        ? this.#takeHead(bytes, at)
        : this.#takePayload(bytes, at, this.#head);
    }
  }

  /** What came of a head that is not whole. */
  get rest(): Buffer {
    return Buffer.from(this.#held.subarray(0, this.#have));
  }

  #takeHead(bytes: Uint8Array, from: number): number {
    let at = from;
    while (at < bytes.length) {
      this.#held[this.#have++] = bytes[at++] ?? 0;
      if (this.#have < 2 || this.#have < this.#headLength()) continue;
      const head = this.#readHead();
      this.#have = 0;
      this.#turn = 0;
      this.#left = head.length;
      this.#sink.begin(head);
      if (head.length === 0) this.#sink.end(head);
      else this.#head = head;
      break;
    }
    return at;
  }

  #headLength(): number {
    const [, second = 0] = this.#held;
    const length = second & 0x7f;
    return 2 + (length === 127 ? 8 : length === 126 ? 2 : 0) + ((second & 0x80) === 0 ? 0 : 4);
  }

  #readHead(): FrameHead {
    const [first = 0, second = 0] = this.#held;
    const opcode = first & 0x0f;
    const last = (first & 0x80) !== 0;
    if ((first & 0x70) !== 0) throw new FrameFault("a frame of an extension");
    if (!OPCODES.has(opcode)) throw new FrameFault("a frame of no known kind");
    if (((second & 0x80) !== 0) !== this.#masked) {
      throw new FrameFault(this.#masked ? "a frame without a mask" : "a frame with a mask");
    }
    const end = this.#headLength();
    const length = this.#readLength(second & 0x7f);
    if (isControl(opcode)) {
      if (!last || length > MOST_CONTROL) throw new FrameFault("a control frame too large");
    } else {
      if ((opcode === Opcode.Continuation) !== this.#underway) {
        throw new FrameFault("a frame out of its message");
      }
      this.#underway = !last;
    }
    const mask = this.#masked ? Buffer.from(this.#held.subarray(end - 4, end)) : null;
    return { last, opcode, length, mask };
  }

  #readLength(short: number): number {
    if (short < 126) return short;
    const wide = short === 126 ? this.#held.readUInt16BE(2) : this.#held.readBigUInt64BE(2);
    const length = Number(wide);
    const least = short === 126 ? 126 : 65_536;
    if (length < least || !Number.isSafeInteger(length)) {
      throw new FrameFault("a malformed length");
    }
    return length;
  }

  #takePayload(bytes: Uint8Array, at: number, head: FrameHead): number {
    // A copy: the sender's memory is not ours to unmask.
    const part = Buffer.from(bytes.subarray(at, at + this.#left));
    if (head.mask !== null) this.#turn = applyMask(part, head.mask, this.#turn);
    this.#left -= part.length;
    this.#sink.payload(part);
    if (this.#left === 0) {
      this.#head = null;
      this.#sink.end(head);
    }
    return at + part.length;
  }
}

/** Masks or unmasks in place, from this byte of the mask on; answers which is next. */
function applyMask(bytes: Buffer, mask: Buffer, turn = 0): number {
  for (let at = 0; at < bytes.length; at++) {
    bytes[at] = (bytes[at] ?? 0) ^ (mask[(at + turn) & 3] ?? 0);
  }
  return (turn + bytes.length) & 3;
}

/** What stands before the payload of a frame. */
export function writeHead({ last, opcode, length, mask }: FrameHead): Buffer {
  const wide = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const head = Buffer.allocUnsafe(2 + wide + (mask === null ? 0 : 4));
  head[0] = (last ? 0x80 : 0) | opcode;
  head[1] = (mask === null ? 0 : 0x80) | (wide === 0 ? length : wide === 2 ? 126 : 127);
  if (wide === 2) head.writeUInt16BE(length, 2);
  if (wide === 8) head.writeBigUInt64BE(BigInt(length), 2);
  mask?.copy(head, 2 + wide);
  return head;
}

/** A whole frame. What is given of it is not used afterwards. */
export function writeFrame(
  { last, opcode, mask }: Omit<FrameHead, "length">,
  payload: Buffer,
): Buffer {
  if (mask !== null) applyMask(payload, mask);
  return Buffer.concat([writeHead({ last, opcode, length: payload.length, mask }), payload]);
}

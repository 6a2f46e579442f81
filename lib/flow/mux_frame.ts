/**
 * Frames of the flows channel, on which netstack hands redirected flows to sbx:
 *
 * ```
 * u8 type | u24 payload length | u32 flow id | payload
 * ```
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { SbxError } from "../base/errors.ts";

export const FrameType = { Open: 1, Data: 2, Eof: 3, Reset: 4, Credit: 5 } as const;
export type FrameType = (typeof FrameType)[keyof typeof FrameType];

const HEADER = 8;

/** Largest payload either side sends. */
export const MAX_PAYLOAD = 64 * 1024;

/**
 * The most bytes that a direction of a stream may have under way; given back as they are consumed. OPEN says how
 * many it starts with.
 */
export const MAX_CREDIT = 256 * 1024;

export interface Frame {
  readonly type: FrameType;
  readonly id: number;
  /** Only valid until the next `push`. */
  readonly payload: Uint8Array;
}

/** What precedes a payload of this many bytes. */
export function encodeHeader(type: FrameType, id: number, size: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER);
  header.writeUInt32BE((type << 24 | size) >>> 0, 0);
  header.writeUInt32BE(id, 4);
  return header;
}

/** A frame in one piece, with a copy of its payload. */
export function encodeFrame(
  type: FrameType,
  id: number,
  payload: Uint8Array = new Uint8Array(),
): Uint8Array {
  return Buffer.concat([encodeHeader(type, id, payload.length), payload]);
}

/** A CREDIT frame for this many bytes. */
export function encodeCredit(id: number, bytes: number): Uint8Array {
  const payload = Buffer.allocUnsafe(4);
  payload.writeUInt32BE(bytes);
  return encodeFrame(FrameType.Credit, id, payload);
}

/** Cuts a byte stream into frames. Holds at most one incomplete frame. */
export class FrameReader {
  #held: Buffer = Buffer.alloc(0);

  /**
   * The frames that these bytes complete.
   *
   * @throws SbxError PROTOCOL; the stream is unusable then.
   */
  *push(bytes: Uint8Array): Generator<Frame> {
    let data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    // The held frame takes what it lacks and no more: what follows is read where it is.
    while (this.#held.length > 0 && data.length > 0) {
      const lacking = (frameSize(this.#held) ?? HEADER) - this.#held.length;
      const held = Buffer.concat([this.#held, data.subarray(0, lacking)]);
      data = data.subarray(lacking);
      const whole = frameSize(held) === held.length;
      this.#held = whole ? Buffer.alloc(0) : held;
      if (whole) yield frameIn(held);
    }
    for (let size; (size = frameSize(data)) !== null && size <= data.length;) {
      yield frameIn(data.subarray(0, size));
      data = data.subarray(size);
    }
    if (data.length > 0) this.#held = Buffer.from(data);
  }
}

/** With its header; null before that has come. @throws SbxError PROTOCOL */
function frameSize(bytes: Buffer): number | null {
  if (bytes.length < HEADER) return null;
  const word = bytes.readUInt32BE(0);
  const [type, size] = [word >>> 24, word & 0xff_ffff];
  if (type < FrameType.Open || type > FrameType.Credit || size > MAX_PAYLOAD) {
    throw new SbxError("PROTOCOL", "Cannot follow netstack: malformed flow frame");
  }
  return HEADER + size;
}

function frameIn(bytes: Buffer): Frame {
  const type = bytes.readUInt8(0) as FrameType;
  return { type, id: bytes.readUInt32BE(4), payload: bytes.subarray(HEADER) };
}

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

export function encodeFrame(
  type: FrameType,
  id: number,
  payload: Uint8Array = new Uint8Array(),
): Uint8Array {
  const frame = Buffer.allocUnsafe(HEADER + payload.length);
  frame.writeUInt32BE((type << 24 | payload.length) >>> 0, 0);
  frame.writeUInt32BE(id, 4);
  frame.set(payload, HEADER);
  return frame;
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
    if (this.#held.length > 0) data = Buffer.concat([this.#held, data]);
    let at = 0;
    while (data.length - at >= HEADER) {
      const word = data.readUInt32BE(at);
      const [type, size] = [word >>> 24, word & 0xff_ffff];
      if (type < FrameType.Open || type > FrameType.Credit || size > MAX_PAYLOAD) {
        throw new SbxError("PROTOCOL", "Cannot follow netstack: malformed flow frame");
      }
      if (data.length - at < HEADER + size) break;
      const payload = data.subarray(at + HEADER, at + HEADER + size);
      yield { type: type as FrameType, id: data.readUInt32BE(at + 4), payload };
      at += HEADER + size;
    }
    this.#held = Buffer.from(data.subarray(at));
  }
}

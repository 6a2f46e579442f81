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
import { FrameCutter } from "../wire/frame_cutter.ts";

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

/** What a payload of each type may have. A datagram may be empty; what is of a stream may not. */
const BOUNDS: ReadonlyMap<number, { readonly low: number; readonly high: number }> = new Map([
  [FrameType.Open, { low: 2, high: MAX_PAYLOAD }],
  [FrameType.Data, { low: 0, high: MAX_PAYLOAD }],
  [FrameType.Eof, { low: 0, high: 0 }],
  [FrameType.Reset, { low: 0, high: 0 }],
  [FrameType.Credit, { low: 4, high: 4 }],
]);

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
  readonly #frames = new FrameCutter(HEADER, frameSize);

  /**
   * The frames that these bytes complete.
   *
   * @throws SbxError PROTOCOL; the stream is unusable then.
   */
  *push(bytes: Uint8Array): Generator<Frame, void, undefined> {
    for (const frame of this.#frames.push(bytes)) {
      const view = new DataView(frame.buffer, frame.byteOffset);
      const type = view.getUint8(0) as FrameType;
      yield { type, id: view.getUint32(4), payload: frame.subarray(HEADER) };
    }
  }
}

/** With its header. @throws SbxError PROTOCOL */
function frameSize(bytes: Uint8Array): number {
  const word = new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
  const [type, size] = [word >>> 24, word & 0xff_ffff];
  const bounds = BOUNDS.get(type);
  if (bounds === undefined || size < bounds.low || size > bounds.high) {
    throw new SbxError("PROTOCOL", "Cannot follow netstack: malformed flow frame");
  }
  return HEADER + size;
}

/**
 * Frames between sbx and the guest's agent; docs/agent-protocol.md is the specification.
 *
 * ```
 * u8 kind | u24 payload length | u24 call | u8 stream | payload
 * ```
 *
 * The guest may own its agent, so what it sends is a stranger's. Pure.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { SbxError } from "../base/errors.ts";

export const Kind = {
  Call: 1,
  Result: 2,
  Data: 3,
  Eof: 4,
  Credit: 5,
  Stop: 6,
  Signal: 7,
  Resize: 8,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

export const Stream = { Stdin: 0, Stdout: 1, Stderr: 2 } as const;

export const MAX_DATA = 64 * 1024;
export const MAX_MESSAGE = 1 << 20;
/** Credit that every stream starts with. */
export const WINDOW = 256 * 1024;
const HEADER = 8;

/** What the agent may send, with the bounds of its payload. */
const FROM_AGENT: ReadonlyMap<number, readonly [low: number, high: number]> = new Map([
  [Kind.Result, [2, MAX_MESSAGE]],
  [Kind.Data, [1, MAX_DATA]],
  [Kind.Eof, [0, 0]],
  [Kind.Credit, [4, 4]],
  [Kind.Stop, [0, 0]],
]);

export interface AgentFrame {
  readonly kind: Kind;
  readonly call: number;
  readonly stream: number;
  /** A copy, free to keep. */
  readonly payload: Uint8Array<ArrayBuffer>;
}

export function encodeAgentFrame(
  kind: Kind,
  call: number,
  stream: number,
  payload: Uint8Array = new Uint8Array(),
): Uint8Array {
  const frame = Buffer.allocUnsafe(HEADER + payload.length);
  frame.writeUInt32BE((kind << 24 | payload.length) >>> 0, 0);
  frame.writeUInt32BE((call << 8 | stream) >>> 0, 4);
  frame.set(payload, HEADER);
  return frame;
}

/** Cuts a byte stream into frames. Holds at most one incomplete frame. */
export class AgentFrameReader {
  #held: Buffer = Buffer.alloc(0);

  /**
   * The frames that these bytes complete.
   *
   * @throws SbxError PROTOCOL; the stream is unusable then.
   */
  *push(bytes: Uint8Array): Generator<AgentFrame> {
    let data = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    if (this.#held.length > 0) data = Buffer.concat([this.#held, data]);
    let at = 0;
    while (data.length - at >= HEADER) {
      const word = data.readUInt32BE(at);
      const [kind, length] = [word >>> 24, word & 0xff_ffff];
      const bounds = FROM_AGENT.get(kind);
      const stream = data[at + 7] ?? 0;
      if (bounds === undefined || length < bounds[0] || length > bounds[1] || stream > 2) {
        throw new SbxError("PROTOCOL", "Cannot follow the guest's agent: malformed frame");
      }
      if (data.length - at < HEADER + length) break;
      const payload = new Uint8Array(data.subarray(at + HEADER, at + HEADER + length));
      yield { kind: kind as Kind, call: data.readUInt32BE(at + 4) >>> 8, stream, payload };
      at += HEADER + length;
    }
    this.#held = Buffer.from(data.subarray(at));
  }
}

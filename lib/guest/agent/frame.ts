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
import { SbxError } from "../../base/errors.ts";
import { FrameCutter } from "../../wire/frame_cutter.ts";

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

/** Stream 0 goes to the guest, 1 and 2 come from it. */
export const Stream = { Input: 0, Output: 1, Errors: 2 } as const;
export type Stream = (typeof Stream)[keyof typeof Stream];

export const MAX_DATA = 64 * 1024;
/** Linux takes arguments and environment up to 2 MiB, which are a third more in base64. */
export const MAX_REQUEST = 4 << 20;
const MAX_RESULT = 64 * 1024;
/** Credit that every stream starts with. */
export const WINDOW = 256 * 1024;
export const MAX_CALL = 0xff_ffff;
const HEADER = 8;

/** What the agent may send: the bounds of the payload, and on which streams. */
const FROM_AGENT: ReadonlyMap<
  number,
  { readonly low: number; readonly high: number; readonly streams: readonly number[] }
> = new Map([
  [Kind.Result, { low: 2, high: MAX_RESULT, streams: [0] }],
  [Kind.Data, { low: 1, high: MAX_DATA, streams: [Stream.Output, Stream.Errors] }],
  [Kind.Eof, { low: 0, high: 0, streams: [Stream.Output, Stream.Errors] }],
  [Kind.Credit, { low: 4, high: 4, streams: [Stream.Input] }],
  [Kind.Stop, { low: 0, high: 0, streams: [Stream.Input] }],
]);

export interface AgentFrame {
  readonly kind: Kind;
  readonly call: number;
  readonly stream: Stream;
  /** Only valid until the next `push`. */
  readonly payload: Uint8Array;
}

/** One frame as bytes. The caller keeps to the kind's bounds. */
export function encodeAgentFrame(
  kind: Kind,
  call: number,
  stream: Stream,
  payload: Uint8Array = new Uint8Array(),
): Uint8Array {
  const frame = new Uint8Array(HEADER + payload.length);
  const view = new DataView(frame.buffer);
  view.setUint32(0, (kind << 24 | payload.length) >>> 0);
  view.setUint32(4, (call << 8 | stream) >>> 0);
  frame.set(payload, HEADER);
  return frame;
}

/** Cuts a byte stream into frames. Holds at most one incomplete frame. */
export class AgentFrameReader {
  readonly #frames = new FrameCutter(HEADER, (bytes) => HEADER + frameHead(bytes).length);

  /**
   * The frames that these bytes complete.
   *
   * @throws SbxError PROTOCOL; the stream is unusable then.
   */
  *push(bytes: Uint8Array): Generator<AgentFrame> {
    for (const frame of this.#frames.push(bytes)) {
      const { kind, call, stream } = frameHead(frame);
      yield { kind, call, stream, payload: frame.subarray(HEADER) };
    }
  }
}

interface FrameHead {
  readonly kind: Kind;
  readonly length: number;
  readonly call: number;
  readonly stream: Stream;
}

function frameHead(bytes: Uint8Array): FrameHead {
  const [kind = 0, l2 = 0, l1 = 0, l0 = 0, c2 = 0, c1 = 0, c0 = 0, stream = 0] = bytes;
  const length = l2 << 16 | l1 << 8 | l0;
  const call = c2 << 16 | c1 << 8 | c0;
  const bounds = FROM_AGENT.get(kind);
  if (
    bounds === undefined || length < bounds.low || length > bounds.high || call === 0 ||
    !bounds.streams.includes(stream)
  ) {
    throw new SbxError(
      "PROTOCOL",
      `Cannot follow the guest's agent: it sent a malformed frame (kind ${kind}, ${length} bytes)`,
    );
  }
  return { kind: kind as Kind, length, call, stream: stream as Stream };
}

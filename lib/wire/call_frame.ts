/**
 * Frames of a conversation in calls: a client opens them, a server answers, and each has three streams on
 * credit. The guest's agent serves sbx so, and the supervisor of a sandbox its clients;
 * docs/agent-protocol.md is the specification.
 *
 * ```
 * u8 kind | u24 payload length | u24 call | u8 stream | payload
 * ```
 *
 * Either peer may be a stranger. Pure.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { FrameCutter } from "./frame_cutter.ts";

export const Kind = {
  Call: 1,
  Result: 2,
  Data: 3,
  Eof: 4,
  Credit: 5,
  Stop: 6,
  Signal: 7,
  Resize: 8,
  Begun: 9,
} as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** Stream 0 goes to the server, 1 and 2 come from it. */
export const Stream = { Input: 0, Output: 1, Errors: 2 } as const;
export type Stream = (typeof Stream)[keyof typeof Stream];

export const MAX_DATA = 64 * 1024;
/** Linux takes arguments and environment up to 2 MiB, which are a third more in base64. */
export const MAX_REQUEST = 4 << 20;
/** Credit that every stream starts with. */
export const WINDOW = 256 * 1024;
export const MAX_CALL = 0xff_ffff;
/** The signal, as kill(2) has it, that reaches nobody: the client of a call wants it no more. */
export const GIVE_UP = 0;
const HEADER = 8;

/** The other end, as errors name it and as it may send. */
export interface Peer {
  /** "the guest's agent" */
  readonly name: string;
  /** What it may send: the bounds of each kind's payload, and on which streams. */
  readonly sends: FrameBounds;
}

export type FrameBounds = ReadonlyMap<
  number,
  { readonly low: number; readonly high: number; readonly streams: readonly number[] }
>;

/** What a server sends whose results have at most so many bytes. */
export function serverBounds(maxResult: number): FrameBounds {
  return new Map([
    [Kind.Result, { low: 2, high: maxResult, streams: [0] }],
    [Kind.Data, { low: 1, high: MAX_DATA, streams: [Stream.Output, Stream.Errors] }],
    [Kind.Eof, { low: 0, high: 0, streams: [Stream.Output, Stream.Errors] }],
    [Kind.Credit, { low: 4, high: 4, streams: [Stream.Input] }],
    [Kind.Stop, { low: 0, high: 0, streams: [Stream.Input] }],
    [Kind.Begun, { low: 0, high: 0, streams: [0] }],
  ]);
}

/** What a client sends. */
export const CLIENT_BOUNDS: FrameBounds = new Map([
  [Kind.Call, { low: 2, high: MAX_REQUEST, streams: [0] }],
  [Kind.Data, { low: 1, high: MAX_DATA, streams: [Stream.Input] }],
  [Kind.Eof, { low: 0, high: 0, streams: [Stream.Input] }],
  [Kind.Credit, { low: 4, high: 4, streams: [Stream.Output, Stream.Errors] }],
  [Kind.Stop, { low: 0, high: 0, streams: [Stream.Output, Stream.Errors] }],
  [Kind.Signal, { low: 1, high: 1, streams: [0] }],
  [Kind.Resize, { low: 4, high: 4, streams: [0] }],
]);

export interface CallFrame {
  readonly kind: Kind;
  readonly call: number;
  readonly stream: Stream;
  /** Only valid until the next `push`. */
  readonly payload: Uint8Array;
}

/** One frame as bytes. The caller keeps to the kind's bounds. */
export function encodeCallFrame(
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

/** Cuts what a peer sends into frames. Holds at most one incomplete frame. */
export class CallFrameReader {
  readonly #peer: Peer;
  readonly #frames = new FrameCutter(HEADER, (bytes) => HEADER + this.#head(bytes).length);

  constructor(peer: Peer) {
    this.#peer = peer;
  }

  /**
   * The frames that these bytes complete.
   *
   * @throws SbxError PROTOCOL; the stream is unusable then.
   */
  *push(bytes: Uint8Array): Generator<CallFrame> {
    for (const frame of this.#frames.push(bytes)) {
      const { kind, call, stream } = this.#head(frame);
      yield { kind, call, stream, payload: frame.subarray(HEADER) };
    }
  }

  #head(bytes: Uint8Array): FrameHead {
    const [kind = 0, l2 = 0, l1 = 0, l0 = 0, c2 = 0, c1 = 0, c0 = 0, stream = 0] = bytes;
    const length = l2 << 16 | l1 << 8 | l0;
    const call = c2 << 16 | c1 << 8 | c0;
    const bounds = this.#peer.sends.get(kind);
    if (
      bounds === undefined || length < bounds.low || length > bounds.high || call === 0 ||
      !bounds.streams.includes(stream)
    ) {
      throw violationOf(this.#peer)(`it sent a malformed frame (kind ${kind}, ${length} bytes)`);
    }
    return { kind: kind as Kind, length, call, stream: stream as Stream };
  }
}

/** The error for what a peer did and may not do: "it sent more than it may". */
export function violationOf({ name }: Peer): (what: string) => SbxError {
  return (what) => new SbxError("PROTOCOL", `Cannot follow ${name}: ${what}`);
}

interface FrameHead {
  readonly kind: Kind;
  readonly length: number;
  readonly call: number;
  readonly stream: Stream;
}

/** A number as a frame's payload has it. */
export function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value);
  return bytes;
}

/** As {@link uint32} wrote it. */
export function readUint32(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0);
}

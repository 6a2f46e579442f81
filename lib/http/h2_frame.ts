/**
 * Frames of HTTP/2: bytes to values and back (RFC 9113 4, 6). Pure.
 *
 * @module
 */
import { Buffer } from "node:buffer";

export const FrameType = {
  Data: 0,
  Headers: 1,
  Priority: 2,
  Reset: 3,
  Settings: 4,
  PushPromise: 5,
  Ping: 6,
  Goaway: 7,
  WindowUpdate: 8,
  Continuation: 9,
} as const;

export const Flag = { EndStream: 1, Ack: 1, EndHeaders: 4, Padded: 8, Priority: 32 } as const;

export const Setting = {
  HeaderTableSize: 1,
  EnablePush: 2,
  MaxConcurrentStreams: 3,
  InitialWindowSize: 4,
  MaxFrameSize: 5,
  MaxHeaderListSize: 6,
  EnableConnectProtocol: 8,
} as const;

/** RFC 9113 7. */
export const Code = {
  None: 0,
  Protocol: 1,
  Internal: 2,
  FlowControl: 3,
  StreamClosed: 5,
  FrameSize: 6,
  RefusedStream: 7,
  Cancel: 8,
  Compression: 9,
  EnhanceYourCalm: 11,
} as const;

export interface Frame {
  readonly type: number;
  readonly flags: number;
  /** 0: the connection. */
  readonly stream: number;
  readonly payload: Buffer;
}

/** The peer broke the connection's rules; it is told the code and left. */
export class H2Error extends Error {
  override readonly name = "H2Error";
  readonly code: number;

  constructor(code: number, what: string) {
    super(what);
    this.code = code;
  }
}

/** What a client says first (RFC 9113 3.4). */
export const PREFACE: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** What we let peers send, and send ourselves: the least that all have to take. */
export const MAX_PAYLOAD = 16_384;

export const MAX_WINDOW = 0x7fffffff;

const HEADER = 9;

/** Cuts a byte stream into frames. */
export class FrameReader {
  #held: Buffer = Buffer.alloc(0);
  #prefaced: boolean;

  /** `preface`: the peer is a client and says the preface first. */
  constructor(preface: boolean) {
    this.#prefaced = !preface;
  }

  /** The frames that these bytes complete. @throws H2Error when they are no HTTP/2, or too large. */
  *push(bytes: Buffer): Generator<Frame> {
    this.#held = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    if (!this.#prefaced && !this.#skipPreface()) return;
    for (let rest = this.#held; rest.length >= HEADER; rest = this.#held) {
      const length = rest.readUIntBE(0, 3);
      if (length > MAX_PAYLOAD) throw new H2Error(Code.FrameSize, "a frame that is too large");
      if (rest.length < HEADER + length) return;
      this.#held = rest.subarray(HEADER + length);
      const payload = rest.subarray(HEADER, HEADER + length);
      const stream = rest.readUInt32BE(5) & MAX_WINDOW;
      yield { type: rest[3] ?? 0, flags: rest[4] ?? 0, stream, payload };
    }
  }

  #skipPreface(): boolean {
    const length = Math.min(this.#held.length, PREFACE.length);
    if (!this.#held.subarray(0, length).equals(PREFACE.subarray(0, length))) {
      throw new H2Error(Code.Protocol, "no HTTP/2");
    }
    this.#prefaced = length === PREFACE.length;
    if (this.#prefaced) this.#held = this.#held.subarray(length);
    return this.#prefaced;
  }
}

/** The nine bytes before a payload. */
export function frameHeader(type: number, flags: number, stream: number, length: number): Buffer {
  const header = Buffer.allocUnsafe(HEADER);
  header.writeUIntBE(length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return header;
}

export function encodeSettings(settings: readonly (readonly [id: number, value: number])[]) {
  const payload = Buffer.alloc(6 * settings.length);
  settings.forEach(([id, value], index) => {
    payload.writeUInt16BE(id, 6 * index);
    payload.writeUInt32BE(value, 6 * index + 2);
  });
  return Buffer.concat([frameHeader(FrameType.Settings, 0, 0, payload.length), payload]);
}

/** A frame whose payload is numbers of 32 bits. */
export function encodeNumbers(type: number, stream: number, ...numbers: readonly number[]) {
  const frame = Buffer.allocUnsafe(HEADER + 4 * numbers.length);
  frameHeader(type, 0, stream, 4 * numbers.length).copy(frame);
  numbers.forEach((number, index) => frame.writeUInt32BE(number, HEADER + 4 * index));
  return frame;
}

export function encodePing(payload: Buffer, ack: boolean): Buffer {
  return Buffer.concat([frameHeader(FrameType.Ping, ack ? Flag.Ack : 0, 0, 8), payload]);
}

/** A header block as one HEADERS frame and as many CONTINUATION frames as it takes. */
export function encodeHeaders(stream: number, block: Buffer, end: boolean): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at === 0 || at < block.length; at += MAX_PAYLOAD) {
    const part = block.subarray(at, at + MAX_PAYLOAD);
    const last = at + MAX_PAYLOAD >= block.length;
    const flags = (last ? Flag.EndHeaders : 0) | (at === 0 && end ? Flag.EndStream : 0);
    const type = at === 0 ? FrameType.Headers : FrameType.Continuation;
    parts.push(frameHeader(type, flags, stream, part.length), part);
  }
  return parts;
}

/** The payload without padding, and without the priority that nobody heeds any more. */
export function unpad({ flags, payload }: Frame, mayHavePriority: boolean): Buffer {
  let from = 0;
  let padding = 0;
  if ((flags & Flag.Padded) !== 0) {
    padding = payload[0] ?? MAX_PAYLOAD;
    from = 1;
  }
  if (mayHavePriority && (flags & Flag.Priority) !== 0) from += 5;
  const to = payload.length - padding;
  if (to < from) throw new H2Error(Code.Protocol, "padding longer than its frame");
  return payload.subarray(from, to);
}

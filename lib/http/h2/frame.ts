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

/** A dependency and a weight (RFC 9113 6.3). */
const PRIORITY = 5;

/**
 * Cuts a byte stream into frames. A frame that lies in one piece of the stream is not copied; one that
 * is cut is collected in room of its own size, so that each byte of it is copied once however many
 * pieces it came in.
 */
export class FrameReader {
  #prefaced: number;
  /** Of a frame that is cut: its header, and as soon as that is whole, all of it. */
  #held: Buffer = Buffer.alloc(HEADER);
  #length = 0;

  /** `preface`: the peer is a client and says the preface first. */
  constructor(preface: boolean) {
    this.#prefaced = preface ? 0 : PREFACE.length;
  }

  /** The frames that these bytes complete. @throws H2Error when they are no HTTP/2, or too large. */
  *push(bytes: Buffer): Generator<Frame> {
    let rest = this.#skipPreface(bytes);
    while (rest.length > 0) {
      if (this.#length === 0 && rest.length >= HEADER) {
        const size = frameSize(rest);
        if (rest.length >= size) {
          const whole = rest.subarray(0, size);
          rest = rest.subarray(size);
          yield readFrame(whole);
          continue;
        }
      }
      rest = this.#hold(rest);
      if (this.#length < HEADER || this.#length < this.#held.length) continue;
      const whole = this.#held;
      this.#held = Buffer.alloc(HEADER);
      this.#length = 0;
      yield readFrame(whole);
    }
  }

  /** Takes what the cut frame lacks; the rest. */
  #hold(bytes: Buffer): Buffer {
    const taken = Math.min(bytes.length, this.#held.length - this.#length);
    bytes.copy(this.#held, this.#length, 0, taken);
    this.#length += taken;
    if (this.#length === HEADER && this.#held.length === HEADER) {
      const header = this.#held;
      this.#held = Buffer.allocUnsafeSlow(frameSize(header));
      header.copy(this.#held);
    }
    return bytes.subarray(taken);
  }

  #skipPreface(bytes: Buffer): Buffer {
    const from = this.#prefaced;
    const length = Math.min(bytes.length, PREFACE.length - from);
    if (!bytes.subarray(0, length).equals(PREFACE.subarray(from, from + length))) {
      throw new H2Error(Code.Protocol, "no HTTP/2");
    }
    this.#prefaced += length;
    return bytes.subarray(length);
  }
}

/** Of the frame with this header, header included. @throws H2Error */
function frameSize(header: Buffer): number {
  const length = header.readUIntBE(0, 3);
  if (length > MAX_PAYLOAD) throw new H2Error(Code.FrameSize, "a frame that is too large");
  return HEADER + length;
}

function readFrame(whole: Buffer): Frame {
  const stream = whole.readUInt32BE(5) & MAX_WINDOW;
  return { type: whole[3] ?? 0, flags: whole[4] ?? 0, stream, payload: whole.subarray(HEADER) };
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

/** What a DATA or HEADERS frame carries. */
export interface Carried {
  readonly content: Buffer;
  /** The stream that HEADERS state as the one that theirs depends on. */
  readonly dependency: number | null;
}

/** The payload without padding and priority. @throws H2Error */
export function unpad({ type, flags, payload }: Frame): Carried {
  let from = 0;
  let padding = 0;
  if ((flags & Flag.Padded) !== 0) {
    if (payload.length === 0) throw new H2Error(Code.FrameSize, "a padded frame of nothing");
    padding = payload[0] ?? 0;
    from = 1;
  }
  let dependency: number | null = null;
  if (type === FrameType.Headers && (flags & Flag.Priority) !== 0) {
    if (payload.length < from + PRIORITY) {
      throw new H2Error(Code.FrameSize, "a priority cut short");
    }
    dependency = payload.readUInt32BE(from) & MAX_WINDOW;
    from += PRIORITY;
  }
  const to = payload.length - padding;
  if (to < from) throw new H2Error(Code.Protocol, "padding longer than its frame");
  return { content: payload.subarray(from, to), dependency };
}

/**
 * The code to refuse a PRIORITY frame with, if any. Nobody heeds priorities any more (RFC 9113 5.3.2), but they
 * have to be well-formed (6.3), and no stream depends on itself (RFC 7540 5.3.1, which RFC 9113 dropped
 * with the rest; peers that still send priorities follow it).
 */
export function priorityFault({ stream, payload }: Frame): number | null {
  if (payload.length !== PRIORITY) return Code.FrameSize;
  return (payload.readUInt32BE(0) & MAX_WINDOW) === stream ? Code.Protocol : null;
}

/**
 * DNS messages in a byte stream (RFC 1035 §4.2.2): two bytes of length, then the message.
 *
 * @module
 */
import { FrameCutter } from "../../wire/frame_cutter.ts";
import { MalformedDns } from "./wire_name.ts";

const HEADER = 2;

export function frameTcp(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(HEADER + message.length);
  new DataView(frame.buffer).setUint16(0, message.length);
  frame.set(message, HEADER);
  return frame;
}

/** Cuts a stream into messages; holds one unfinished message at most. */
export class TcpDeframer {
  readonly #frames = new FrameCutter(HEADER, frameSize);

  /**
   * The messages that these bytes complete, each in memory of its own.
   *
   * @throws MalformedDns when a message has no bytes, after those before it; the stream makes no sense
   * from there on
   */
  *push(bytes: Uint8Array): Generator<Uint8Array> {
    for (const frame of this.#frames.push(bytes)) yield new Uint8Array(frame.subarray(HEADER));
  }
}

function frameSize([high = 0, low = 0]: Uint8Array): number {
  const length = high << 8 | low;
  if (length === 0) throw new MalformedDns("message without bytes");
  return HEADER + length;
}

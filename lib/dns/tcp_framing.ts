/**
 * DNS messages in a byte stream (RFC 1035 §4.2.2): two bytes of length, then the message.
 *
 * @module
 */
import { MalformedDns } from "./wire_name.ts";

export function frameTcp(message: Uint8Array): Uint8Array {
  const frame = new Uint8Array(2 + message.length);
  new DataView(frame.buffer).setUint16(0, message.length);
  frame.set(message, 2);
  return frame;
}

/** Cuts a stream into messages; holds one unfinished message at most. */
export class TcpDeframer {
  #first: number | null = null;
  #message: Uint8Array | null = null;
  #filled = 0;

  /**
   * The messages that these bytes complete.
   *
   * @throws MalformedDns when a message has no bytes; the stream makes no sense from there on
   */
  push(bytes: Uint8Array): Uint8Array[] {
    const whole: Uint8Array[] = [];
    for (let at = 0; at < bytes.length;) {
      if (this.#message === null) {
        this.#takeLength(bytes[at++] ?? 0);
        continue;
      }
      const part = bytes.subarray(at, at + this.#message.length - this.#filled);
      this.#message.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled < this.#message.length) break;
      whole.push(this.#message);
      this.#message = null;
    }
    return whole;
  }

  #takeLength(byte: number): void {
    if (this.#first === null) {
      this.#first = byte;
      return;
    }
    const length = this.#first << 8 | byte;
    if (length === 0) throw new MalformedDns("message without bytes");
    this.#first = null;
    this.#message = new Uint8Array(length);
    this.#filled = 0;
  }
}

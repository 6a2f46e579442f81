/**
 * Finds the end of a ClientHello, or that what begins like one is none, however the bytes are cut. Pure;
 * the twin of helloReader in `vendor/netstack/internal/flight/hello.go`. The parser of client_hello.ts
 * says what is in it.
 *
 * @module
 */

import {
  CLIENT_HELLO,
  HANDSHAKE,
  MAX_HELLO,
  MAX_RECORD,
  MESSAGE_HEADER,
  RECORD_HEADER,
} from "./hello_framing.ts";

export class HelloEnd {
  readonly #record: number[] = [];
  readonly #message: number[] = [];
  /** Bytes that the record still has. */
  #left = 0;
  #have = 0;

  /** Takes the next byte; true when there is nothing more to wait for. */
  step(byte: number): boolean {
    if (this.#left === 0) return this.#header(byte);
    this.#left--;
    this.#have++;
    if (this.#message.length < MESSAGE_HEADER) this.#message.push(byte);
    const [type, high = 0, middle = 0, low = 0] = this.#message;
    if (type !== CLIENT_HELLO) return true;
    if (this.#message.length < MESSAGE_HEADER) return false;
    const need = MESSAGE_HEADER + (high << 16 | middle << 8 | low);
    return need > MAX_HELLO || this.#have >= need;
  }

  #header(byte: number): boolean {
    const record = this.#record;
    record.push(byte);
    if (record[0] !== HANDSHAKE) return true;
    if (record.length < RECORD_HEADER) return false;
    this.#left = (record[3] ?? 0) << 8 | (record[4] ?? 0);
    record.length = 0;
    return this.#left === 0 || this.#left > MAX_RECORD;
  }
}

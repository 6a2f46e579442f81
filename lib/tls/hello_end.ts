/**
 * Finds the end of a ClientHello, or that what begins like one is none, however the bytes are cut. Pure;
 * the twin of helloReader in `vendor/netstack/internal/flight/hello.go`. The parser of client_hello.ts
 * says what is in it.
 *
 * @module
 */

/** Content types of records: change_cipher_spec, alert, handshake, application_data, heartbeat. */
const FIRST_RECORD = 20;
const LAST_RECORD = 24;
const HANDSHAKE = 22;
const RECORD_HEADER = 5;
const MAX_RECORD = 16_384;
const CLIENT_HELLO = 1;
const MESSAGE_HEADER = 4;
/** As much as is waited for. */
const MAX_HELLO = 32 * 1024;

/** Whether what begins with this byte is a record of TLS. */
export function isRecord(byte: number): boolean {
  return byte >= FIRST_RECORD && byte <= LAST_RECORD;
}

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

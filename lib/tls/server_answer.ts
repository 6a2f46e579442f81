/**
 * What a server answers to a ClientHello, as far as it tells whether another hello follows, however the
 * bytes are cut. Pure; the twin of `vendor/netstack/internal/flight/retry.go`, for flows inside flows.
 *
 * @module
 */
import { HANDSHAKE, isRecord, MESSAGE_HEADER, RECORD_HEADER } from "./hello_framing.ts";

/**
 * - `other`: a ServerHello, or nothing of TLS that could ask for a second hello any more.
 * - `retry`: it asks for one (HelloRetryRequest).
 * - `plain`: nothing of TLS.
 */
export type ServerAnswer = "unheard" | "other" | "retry" | "plain";

const ALERT = 21;
const SERVER_HELLO = 2;
/** Type and length, version, random. */
const START = MESSAGE_HEADER + 2 + 32;

/** Makes a ServerHello a request to retry (RFC 8446 4.1.3). */
// deno-fmt-ignore
const RETRY: readonly number[] = [
  0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91,
  0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c,
];

/** Whether the bytes are an alert that is not encrypted and nothing more, as a client says that gives up. */
export function isAlert(bytes: Uint8Array): boolean {
  const [type, major, , high, low] = bytes;
  return bytes.length === RECORD_HEADER + 2 && type === ALERT && major === 3 && high === 0 &&
    low === 2;
}

/** Cuts a stream into what each byte of it is to a record. */
export class Records {
  readonly #header: number[] = [];
  #left = 0;

  /** The type of the byte's record, and whether the byte is content of it. */
  step(byte: number): { readonly type: number; readonly content: boolean } {
    const header = this.#header;
    if (this.#left > 0) {
      this.#left--;
      return { type: header[0] ?? 0, content: true };
    }
    if (header.length === RECORD_HEADER) header.length = 0;
    header.push(byte);
    if (header.length === RECORD_HEADER) this.#left = (header[3] ?? 0) << 8 | (header[4] ?? 0);
    return { type: header[0] ?? 0, content: false };
  }
}

export class AnswerReader {
  readonly #records = new Records();
  readonly #hello: number[] = [];
  #answer: ServerAnswer = "unheard";

  /** Takes the server's next bytes. An answer stays. */
  push(bytes: Uint8Array): ServerAnswer {
    for (const byte of bytes) {
      if (this.#answer !== "unheard") break;
      this.#answer = this.#step(byte);
    }
    return this.#answer;
  }

  #step(byte: number): ServerAnswer {
    const { type, content } = this.#records.step(byte);
    if (!isRecord(type)) return "plain";
    if (type === ALERT) return "unheard"; // which may come before a ServerHello; other records do not
    if (type !== HANDSHAKE) return "other";
    const hello = this.#hello;
    if (content) hello.push(byte);
    if (hello.length > 0 && hello[0] !== SERVER_HELLO) return "other";
    if (hello.length < START) return "unheard";
    const random = hello.slice(START - RETRY.length);
    return random.every((each, at) => each === RETRY[at]) ? "retry" : "other";
  }
}

/**
 * What the first bytes of a client are to a server that looks for a name in them, however they are cut.
 * Pure; the twin of `vendor/netstack/internal/flight/hello.go`, for flows inside flows, and
 * `test/vectors/first_flights.json` holds the two together.
 *
 * @module
 */
import { HelloEnd } from "../tls/hello_end.ts";
import { isRecord } from "../tls/hello_framing.ts";
import { RequestReader, type RequestState } from "./request_reader.ts";

export class FlightReader {
  readonly #hello = new HelloEnd();
  readonly #request = new RequestReader();
  readonly #first: number[] = [];
  #state: RequestState = "partial";
  #length = 0;

  /** Up to where the state was settled. */
  get length(): number {
    return this.#length;
  }

  /** Whether it begins as TLS does. */
  get isTls(): boolean {
    return isRecord(this.#first[0] ?? 0);
  }

  /** Takes the next bytes. A state that is whole or opaque stays. */
  push(bytes: Uint8Array): RequestState {
    for (const byte of bytes) {
      if (this.#state === "whole" || this.#state === "opaque") break;
      this.#state = this.#step(byte);
      this.#length++;
    }
    return this.#state;
  }

  #step(byte: number): RequestState {
    const first = this.#first;
    if (first.length < 4) first.push(byte);
    const [type = 0, , kind] = first;
    if (this.isTls) return this.#hello.step(byte) ? "whole" : "partial";
    // A ClientHello as of SSLv2 (RFC 5246 E.2), which states no name.
    if (first.length === 4 && type >= 0x80 && kind === 1 && first[3] === 3) return "whole";
    return this.#request.push(Uint8Array.of(byte));
  }
}

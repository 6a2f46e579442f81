/**
 * Finds a second ClientHello behind what may come before it: a change_cipher_spec for the sake of
 * middleboxes, early data that was under way, an alert. Pure; the twin of SecondHello in
 * `vendor/netstack/internal/flight/retry.go`.
 *
 * @module
 */
import { MAX_HELLO } from "../tls/hello_framing.ts";
import { Records } from "../tls/server_answer.ts";
import { FlightReader } from "./flight_reader.ts";

const BEFORE: ReadonlySet<number> = new Set([20, 21, 23]);

export class SecondHello {
  readonly #records = new Records();
  readonly #flight = new FlightReader();
  readonly #bytes: number[] = [];
  #whole = false;

  /** The hello as far as it has come, or whatever stands in its place. */
  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  /** Takes the next bytes; true when there is nothing more to wait for. */
  push(bytes: Uint8Array): boolean {
    for (const byte of bytes) {
      if (this.#whole) break;
      const { type } = this.#records.step(byte);
      if (this.#bytes.length === 0 && BEFORE.has(type)) continue;
      this.#bytes.push(byte);
      const seen = this.#flight.push(Uint8Array.of(byte));
      this.#whole = seen !== "partial" || !this.#flight.isTls || this.#bytes.length >= MAX_HELLO;
    }
    return this.#whole;
  }
}

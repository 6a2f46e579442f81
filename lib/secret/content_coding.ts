/**
 * Lets a filter work on the text of a body that is in a content coding (RFC 9110 8.4): decodes, filters,
 * and encodes again, in pieces.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { type Coding, CodingFault, Encoder, expandsTooFar } from "./coder.ts";
import { Decoding } from "./decoding.ts";

/** A substitution or a mask. */
export interface Filter {
  push(bytes: Uint8Array): Buffer;
  end(): Buffer;
  /** Whether there is something that {@link letGo} might give. Absent: never. */
  readonly holds?: boolean;
  /** What may go on of what is held, while nothing more comes and somebody may wait for it. */
  letGo?(): Buffer;
}

const CODINGS: Readonly<Record<string, Coding>> = {
  "gzip": "gzip",
  "x-gzip": "gzip",
  "deflate": "deflate",
  "br": "br",
  "zstd": "zstd",
};

const NONE: readonly Coding[] = [];

/** More than one is rare; each multiplies what a body can expand to. */
const MOST_CODINGS = 2;

/**
 * The codings that the values of Content-Encoding state, in the order in which they were applied; none
 * for a body as it is; null for what cannot be decoded here.
 */
export function codingsOf(values: readonly string[]): readonly Coding[] | null {
  if (values.length === 0) return NONE;
  const stated = values.flatMap((value) => value.split(",")).map((one) => one.trim().toLowerCase())
    .filter((one) => one !== "" && one !== "identity");
  const known = stated.flatMap((one) => Object.hasOwn(CODINGS, one) ? CODINGS[one] ?? [] : []);
  return known.length === stated.length && known.length <= MOST_CODINGS ? known : null;
}

/** One body. */
export class Recoder {
  readonly #decoding: Decoding;
  readonly #encoders: readonly Encoder[];
  readonly #filter: Filter;
  #out: Buffer[] = [];
  /** Bytes of the body, and of what the filter made of its text. */
  #coded = 0;
  #filtered = 0;

  constructor(codings: readonly Coding[], filter: Filter) {
    this.#decoding = new Decoding(codings, (text) => this.#read(text));
    this.#encoders = codings.map((coding) => new Encoder(coding));
    this.#filter = filter;
  }

  /** What may go on, so that what was sent piece by piece arrives so. @throws CodingFault */
  push(bytes: Uint8Array): Buffer {
    this.#coded += bytes.length;
    this.#decoding.push(bytes);
    this.#flush(0);
    return this.#taken();
  }

  /** The rest. A body without a byte stays one, whatever its coding. @throws CodingFault */
  end(): Buffer {
    if (this.#coded === 0) return this.#taken();
    this.#decoding.end();
    this.#encode(this.#filter.end(), 0);
    for (const [at, encoder] of this.#encoders.entries()) {
      encoder.end((piece) => this.#encode(piece, at + 1));
    }
    return this.#taken();
  }

  get holds(): boolean {
    return this.#filter.holds === true;
  }

  /** As {@link Filter.letGo}. @throws CodingFault */
  letGo(): Buffer {
    this.#encode(this.#filter.letGo?.() ?? Buffer.alloc(0), 0);
    this.#flush(0);
    return this.#taken();
  }

  /** Frees what a body that goes no further has taken. */
  close(): void {
    for (const step of [this.#decoding, ...this.#encoders]) step.close();
  }

  #read(text: Uint8Array): void {
    const filtered = this.#filter.push(text);
    this.#filtered += filtered.length;
    if (expandsTooFar(this.#coded, this.#filtered)) throw new CodingFault("expands");
    this.#encode(filtered, 0);
  }

  #encode(text: Buffer, from: number): void {
    const encoder = this.#encoders[from];
    if (encoder !== undefined) encoder.push(text, (piece) => this.#encode(piece, from + 1));
    else if (text.length > 0) this.#out.push(text);
  }

  #flush(from: number): void {
    const encoder = this.#encoders[from];
    if (encoder === undefined) return;
    encoder.flush((piece) => this.#encode(piece, from + 1));
    this.#flush(from + 1);
  }

  #taken(): Buffer {
    const out = this.#out;
    this.#out = [];
    return out.length === 1 && out[0] !== undefined ? out[0] : Buffer.concat(out);
  }
}

/**
 * The text of a body that is in content codings (RFC 9110 8.4), in pieces, for whoever only reads it.
 *
 * Whoever sends the body chooses how far it expands: decoded is a few kilobytes at a time, and what expands
 * further than gzip can is refused, one coding inside another included.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type Coding, CodingFault, Decoder, expandsTooFar, type Take } from "./coder.ts";

/** Bytes that are decoded at a time, and again at a time by the next decoder. */
const SLICE = 8_192;

export class Decoding {
  readonly #decoders: readonly Decoder[];
  readonly #take: Take;
  #coded = 0;
  #expanded = 0;

  /** `codings` in the order in which they were applied; `take` gets the text. */
  constructor(codings: readonly Coding[], take: Take) {
    this.#decoders = codings.toReversed().map((coding) => new Decoder(coding));
    this.#take = take;
  }

  /** @throws CodingFault, and what `take` throws */
  push(bytes: Uint8Array): void {
    this.#coded += bytes.length;
    this.#decode(bytes, 0);
  }

  /** A body without a byte is one in any coding. @throws CodingFault, and what `take` throws */
  end(): void {
    if (this.#coded === 0) return;
    for (const [at, decoder] of this.#decoders.entries()) {
      decoder.end((piece) => this.#decode(piece, at + 1));
    }
  }

  /** Frees what a body that goes no further has taken. */
  close(): void {
    for (const decoder of this.#decoders) decoder.close();
  }

  #decode(bytes: Uint8Array, from: number): void {
    const decoder = this.#decoders[from];
    for (let at = 0; at < bytes.length; at += SLICE) {
      const slice = bytes.subarray(at, at + SLICE);
      if (decoder === undefined) this.#give(slice);
      else decoder.push(slice, (piece) => this.#decode(piece, from + 1));
    }
  }

  #give(text: Uint8Array): void {
    this.#expanded += text.length;
    if (expandsTooFar(this.#coded, this.#expanded)) throw new CodingFault("expands");
    this.#take(Buffer.from(text.buffer, text.byteOffset, text.byteLength));
  }
}

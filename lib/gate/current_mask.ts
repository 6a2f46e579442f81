/**
 * A text of a server's with values replaced by the mask of now. One that lasts (a WebSocket, a stream of
 * events) may be sent a value that no source had given when it began.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Mask, Masked, MaskedBody } from "../secret/mask.ts";
import type { MaskFilter } from "./masked_content.ts";

export class CurrentMask implements MaskFilter {
  readonly #current: () => Mask;
  readonly #open: (mask: Mask) => MaskedBody;
  #mask: Mask;
  #body: MaskedBody;
  /** By the masks of before. */
  #before: readonly Masked[] = [];

  /** `current`: the same one as long as no value is new. */
  constructor(current: () => Mask, open: (mask: Mask) => MaskedBody) {
    this.#current = current;
    this.#open = open;
    this.#mask = current();
    this.#body = open(this.#mask);
  }

  push(bytes: Uint8Array): Buffer {
    const begun = this.#renew();
    return this.#body.push(begun.length === 0 ? bytes : Buffer.concat([begun, bytes]));
  }

  end(): Buffer {
    return this.#body.end();
  }

  get holds(): boolean {
    return this.#body.holds;
  }

  letGo(): Buffer {
    return this.#body.letGo();
  }

  get masked(): readonly Masked[] {
    return [...this.#before, ...this.#body.masked];
  }

  /** Answers what the new mask is to read again, since the one before only began to. */
  #renew(): Uint8Array {
    const mask = this.#current();
    const begun = mask === this.#mask ? null : this.#body.handOver();
    if (begun === null) return NOTHING;
    this.#before = this.masked;
    this.#mask = mask;
    this.#body = this.#open(mask);
    return begun;
  }
}

const NOTHING = new Uint8Array(0);

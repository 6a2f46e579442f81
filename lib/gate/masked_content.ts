/**
 * The content of one answer on its way, with values replaced in it, and in a content coding where it came
 * in one.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { Budget } from "../http/budget.ts";
import type { Field } from "../http/fields.ts";
import type { BodyTransform } from "../http/gate.ts";
import type { Coding } from "../secret/coder.ts";
import { type Filter, Recoder } from "../secret/content_coding.ts";
import type { Mask, Masked } from "../secret/mask.ts";
import type { MaskTally } from "./mask_tally.ts";
import { withoutDigests } from "./request_body.ts";
import { readably } from "./unreadable.ts";

/** Replaces values, and says which it did. */
export interface MaskFilter extends Filter {
  readonly masked: readonly Masked[];
}

export interface MaskedContentSpec {
  readonly filter: MaskFilter;
  /** For trailers. */
  readonly mask: () => Mask;
  readonly tally: MaskTally;
  readonly codings: readonly Coding[];
  /** What comes out, where that is known. */
  readonly length: number | null;
  /** What it takes of memory while it waits. */
  readonly waits: Loan | null;
}

export class MaskedContent implements BodyTransform {
  readonly length?: number;
  readonly #spec: MaskedContentSpec;
  readonly #recoder: Recoder | null;

  constructor(spec: MaskedContentSpec) {
    const { codings, filter, length } = spec;
    this.#spec = spec;
    this.#recoder = codings.length === 0 ? null : new Recoder(codings, filter);
    if (length !== null) this.length = length;
  }

  push(content: Buffer): Buffer {
    return readably(() => (this.#recoder ?? this.#spec.filter).push(content));
  }

  end(): Buffer {
    return readably(() => (this.#recoder ?? this.#spec.filter).end());
  }

  get holds(): boolean {
    return (this.#recoder ?? this.#spec.filter).holds === true;
  }

  letGo(): Buffer {
    return readably(() => (this.#recoder ?? this.#spec.filter).letGo?.() ?? Buffer.alloc(0));
  }

  trailers(fields: readonly Field[]): readonly Field[] {
    const { mask, tally } = this.#spec;
    const { fields: sent, masked } = mask().fields(fields);
    tally.add("header", masked);
    return this.#recoder === null ? sent : withoutDigests(sent);
  }

  close(): void {
    const { filter, tally, waits } = this.#spec;
    this.#recoder?.close();
    waits?.giveBack();
    tally.add("body", filter.masked);
    tally.tell();
  }
}

/** Larger answers are passed on as they come. */
const MOST_WAITING = 64 << 10;

/** For all answers that wait at the same time. What comes of one may be longer than it was. */
const BUDGET = new Budget(64 << 20);
const GROWTH = 4;

/** Memory for an answer that waits until it is whole. */
export class Loan {
  #bytes: number;

  private constructor(bytes: number) {
    this.#bytes = bytes;
  }

  /** `length`: of the body as it comes. Null: it cannot wait. */
  static of(length: number): Loan | null {
    const bytes = length * GROWTH;
    return length <= MOST_WAITING && BUDGET.borrow(bytes) ? new Loan(bytes) : null;
  }

  giveBack(): void {
    BUDGET.giveBack(this.#bytes);
    this.#bytes = 0;
  }
}

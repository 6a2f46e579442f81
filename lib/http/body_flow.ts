/**
 * One body on its way, through its transform where the gate gave it one. Pure.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Field } from "./fields.ts";
import { type BodyTransform, passTrailers } from "./gate.ts";
import { MalformedHttp } from "./malformed.ts";
import type { BodyShape } from "./request.ts";

export class BodyFlow {
  /** What is stated of its length where it goes; null where nothing is. */
  readonly length: number | null;
  readonly #transform: BodyTransform | undefined;
  /** Asked for trailers, which may also follow a body of nothing. */
  readonly #trailing: BodyTransform | undefined;
  readonly #close: (() => void) | undefined;
  /** Whoever states a length says the rest unasked. */
  readonly #isOpen: boolean;
  /** What a transform is still to give of the length that is stated for it. */
  #left: number;

  /** `stated`: the length that its sender states, of an answer without a body as well. */
  constructor(shape: BodyShape, stated: number | null, transform: BodyTransform | undefined) {
    // A body of nothing stays one, and a length that was not stated is none of ours to state.
    const applies = stated !== 0 && transform !== undefined;
    this.length = applies && stated !== null ? transform.length ?? null : stated;
    this.#trailing = shape.kind !== "none" ? transform : undefined;
    this.#transform = applies ? this.#trailing : undefined;
    this.#left = this.length ?? Infinity;
    this.#isOpen = stated === null;
    this.#close = transform?.close === undefined ? undefined : () => transform.close?.();
  }

  /** Whether content is sent on as it comes. */
  get isPlain(): boolean {
    return this.#transform === undefined;
  }

  /** What is sent for this content; may be empty. @throws GateRefusal, MalformedHttp */
  push(content: Buffer): Buffer {
    return this.#transform === undefined ? content : this.#count(this.#transform.push(content));
  }

  /** Whether something is held back that {@link letGo} might give. */
  get holds(): boolean {
    return this.#isOpen && this.#transform?.holds === true;
  }

  /** What goes on although nothing more came. @throws GateRefusal, MalformedHttp */
  letGo(): Buffer {
    return this.#count(this.#transform?.letGo?.() ?? NOTHING);
  }

  /** What is sent after the last content. @throws GateRefusal, MalformedHttp */
  end(): Buffer {
    if (this.#transform === undefined) return NOTHING;
    const rest = this.#count(this.#transform.end());
    if (this.#left > 0 && this.#left !== Infinity) throw mistaken();
    return rest;
  }

  /** @throws GateRefusal, MalformedHttp */
  trailers(fields: readonly Field[]): readonly Field[] {
    return passTrailers(fields, this.#trailing);
  }

  /** Whatever became of the body. */
  close(): void {
    this.#close?.();
  }

  #count(content: Buffer): Buffer {
    this.#left -= content.length;
    if (this.#left < 0) throw mistaken();
    return content;
  }
}

const NOTHING = Buffer.alloc(0);

function mistaken(): MalformedHttp {
  return new MalformedHttp("a body of another length");
}

/**
 * A gate as secrets will need one: it replaces one text by another of another length, in heads and in
 * bodies, both ways.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { Field } from "../../lib/http/fields.ts";
import {
  type BodyTransform,
  GateRefusal,
  type Pass,
  type RequestGate,
} from "../../lib/http/gate.ts";

/** What the guest has, and what its server is to get. */
export const HELD = "PLACEHOLDER";
export const REAL = "real";

/** Replaces a text however it is cut into pieces: what may be its beginning is held back. */
export class Replacing implements BodyTransform {
  /** How the calls came. */
  readonly calls: string[] = [];
  readonly #from: string;
  readonly #to: string;
  #kept = "";

  constructor(from: string, to: string) {
    this.#from = from;
    this.#to = to;
  }

  push(content: Buffer): Buffer {
    this.calls.push("push");
    const text = (this.#kept + content.toString("latin1")).replaceAll(this.#from, this.#to);
    let keep = Math.min(this.#from.length - 1, text.length);
    while (keep > 0 && !this.#from.startsWith(text.slice(text.length - keep))) keep--;
    this.#kept = text.slice(text.length - keep);
    return Buffer.from(text.slice(0, text.length - keep), "latin1");
  }

  end(): Buffer {
    this.calls.push("end");
    return Buffer.from(this.#kept, "latin1");
  }

  trailers(fields: readonly Field[]): readonly Field[] {
    return inFields(fields, this.#from, this.#to);
  }
}

export function inFields(fields: readonly Field[], from: string, to: string): readonly Field[] {
  return fields.map((field) =>
    field.value.includes(from)
      ? { ...field, value: field.value.replaceAll(from, to), sensitive: true as const }
      : field
  );
}

/** In every place, both ways. */
export const rewriting: RequestGate = (request): Pass => ({
  kind: "pass",
  target: request.target.replaceAll(HELD, REAL),
  fields: inFields(request.fields, HELD, REAL),
  body: new Replacing(HELD, REAL),
  answer: ({ phrase, fields }) => ({
    phrase: phrase.replaceAll(REAL, HELD),
    fields: inFields(fields, REAL, HELD),
    body: new Replacing(REAL, HELD),
  }),
});

export const REFUSAL = { reason: "rule", detail: "rule 4" } as const;

/** As it is, unless it has a word in it. */
export function careful(): BodyTransform {
  return {
    push: (content) => {
      if (content.includes("bad")) throw new GateRefusal(REFUSAL);
      return content;
    },
    end: () => Buffer.alloc(0),
  };
}

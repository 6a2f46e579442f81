/**
 * What the placeholders of a pair look like: clients and their checks know keys by form and length.
 *
 * @module
 */

import type { AwsPart } from "../../policy/model/secret.ts";

export interface PlaceholderForm {
  /** As a secret has it; null: the usual form. */
  readonly format: string | null;
  /** In bytes. */
  readonly length: number;
}

/** `AKIA` of a user, `ASIA` of a session: the first says that there is no token. */
const ID = /^A[KS]IA/;

/** `value`: what the source has now. */
export function formOf(part: AwsPart, value: string): PlaceholderForm {
  switch (part) {
    case "id":
      return { format: `${ID.exec(value)?.[0] ?? "AKIA"}*`, length: 20 };
    case "key":
      return { format: "*", length: 40 };
    case "token":
      return { format: null, length: value.length };
  }
}

/**
 * Placeholders: what a guest holds instead of the values.
 *
 * Random in each sandbox, so that one of another sandbox means nothing here; of letters, digits and
 * `._~-` only, which no encoder of URLs, fields, JSON or shells touches; and none inside another, so
 * that what is found is found without doubt. A client that checks its key gets one of the form and
 * length that it expects.
 *
 * @module
 */

import { SbxError } from "../base/errors.ts";
import { quote } from "../base/escape.ts";
import type { Secret } from "../policy/model/secret.ts";
import { isFormat } from "../policy/model/secret_scope.ts";

export interface Placeholder {
  /** The whole text. */
  readonly text: string;
  /** Its random part: who has this much of it has it all. Letters of one case, and digits. */
  readonly core: string;
}

/** As many random bytes; `crypto.getRandomValues` outside tests. */
export type Draw = (count: number) => Uint8Array;

/** What people see in the error of a server that got one. */
const PREFIX = "sbx-placeholder-";

/** Characters of 5 random bits each. The whole fits a DNS label. */
const CORE = 26;

/** 80 bits: nobody guesses that, and no text has it by chance. */
const LEAST_CORE = 16;

/** Longer random parts add nothing; what is left of a long format is filled up. */
const MOST_CORE = 64;

/** RFC 4648 6, in one case, so that a change of case loses nothing. */
const ALPHABET = "abcdefghijklmnopqrstuvwxyz234567";

const FORMAT_HINT =
  "write its fixed part and one star for the rest, like sk-ant-*, with letters, digits and ._~- only";

/**
 * One placeholder for each secret, in their order. `lengths`: of the values that are known, in bytes;
 * a placeholder with a format is as long as its value, or has 26 random characters.
 *
 * @throws SbxError SECRET_INVALID for a format that is none or leaves no room for randomness
 */
export function makePlaceholders(
  secrets: readonly Pick<Secret, "name" | "format">[],
  draw: Draw,
  lengths: ReadonlyMap<string, number> = new Map(),
): readonly Placeholder[] {
  const made: Placeholder[] = [];
  for (const secret of secrets) {
    let one: Placeholder;
    // A source of randomness that repeats itself is broken; guests must not get one from it.
    let tries = 0;
    do {
      if (++tries > 8) throw new TypeError("Cannot draw placeholders: the random bytes repeat");
      one = make(secret, draw, lengths.get(secret.name));
    } while (made.some((other) => meets(one, other)));
    made.push(one);
  }
  return made;
}

function make(
  { name, format }: Pick<Secret, "name" | "format">,
  draw: Draw,
  length: number | undefined,
): Placeholder {
  if (format === null) {
    const core = randomText(CORE, draw);
    return { text: PREFIX + core, core };
  }
  if (!isFormat(format)) {
    throw new SbxError("SECRET_INVALID", `Cannot use the format ${quote(format)} of ${name}`, {
      hint: FORMAT_HINT,
    });
  }
  const [before = "", after = ""] = format.split("*");
  const room = length === undefined ? CORE : length - before.length - after.length;
  if (room < LEAST_CORE) {
    throw new SbxError(
      "SECRET_INVALID",
      `Cannot use the format ${quote(format)} of ${name}: ` +
        `it leaves less than ${LEAST_CORE} characters of the value's length`,
      { hint: "shorten the fixed part" },
    );
  }
  // Keys in capitals, as of AWS, stay so.
  const capitals = /[A-Z]/.test(format) && !/[a-z]/.test(format);
  const random = randomText(Math.min(room, MOST_CORE), draw);
  const core = capitals ? random.toUpperCase() : random;
  const filler = (capitals ? "X" : "x").repeat(room - core.length);
  return { text: before + core + filler + after, core };
}

function randomText(length: number, draw: Draw): string {
  let text = "";
  for (const byte of draw(length).subarray(0, length)) text += ALPHABET[byte & 31];
  if (text.length < length) throw new TypeError("Cannot draw placeholders: too few random bytes");
  return text;
}

/** Whether one of the two is found where the other stands, in any case. */
function meets(one: Placeholder, other: Placeholder): boolean {
  const [a, b] = [one.text.toLowerCase(), other.text.toLowerCase()];
  const [x, y] = [one.core.toLowerCase(), other.core.toLowerCase()];
  return a.includes(y) || b.includes(x);
}

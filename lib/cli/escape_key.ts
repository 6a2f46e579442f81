/**
 * The escape key of a raw terminal, as remote shells have it: at the start of a line it and the key after it
 * are for sbx, and every other key is the command's. It works whatever the guest does. A guest can have
 * the terminal answer questions without end, so answers between two keys change nothing.
 *
 * ```
 * start ── the key ──► held ── the key again, or another ──► within
 *   ▲                   ├── . ──► the end
 *   └──── ? ────────────┘
 * ```
 *
 * `start` follows Enter; any other key leads to `within`.
 *
 * @module
 */

/** What the person at the terminal wants of sbx. */
export type Asked = "end" | "help";

/** What became of typed bytes. */
export interface Sorted {
  /** For the command. */
  readonly keys: Uint8Array;
  /** In the order typed; nothing is sorted after an `end`. */
  readonly asked: readonly Asked[];
}

export const DEFAULT_ESCAPE_KEY = "~".charCodeAt(0);

const ESC = 0x1b;
const END = ".".charCodeAt(0);
const HELP = "?".charCodeAt(0);

export class EscapeKey {
  readonly #key: number | null;
  #place: "start" | "held" | "within" = "start";

  /** `key`: a byte of ASCII, null for none. */
  constructor(key: number | null) {
    this.#key = key;
  }

  sort(typed: Uint8Array): Sorted {
    if (this.#key === null) return { keys: typed, asked: [] };
    const keys: number[] = [];
    const asked: Asked[] = [];
    for (let at = 0; at < typed.length; at++) {
      const answer = answerLength(typed, at);
      if (answer > 0) {
        keys.push(...typed.subarray(at, at + answer));
        at += answer - 1;
        continue;
      }
      const wish = this.#take(typed[at] ?? 0, this.#key, keys);
      if (wish !== undefined) asked.push(wish);
      if (wish === "end") break;
    }
    return { keys: Uint8Array.from(keys), asked };
  }

  #take(byte: number, key: number, keys: number[]): Asked | undefined {
    const isHeld = this.#place === "held";
    if (this.#place === "start" && byte === key) {
      this.#place = "held";
      return undefined;
    }
    if (isHeld && (byte === END || byte === HELP)) {
      this.#place = "start";
      return byte === END ? "end" : "help";
    }
    if (isHeld && byte !== key) keys.push(key);
    keys.push(byte);
    this.#place = byte === 0x0d || byte === 0x0a ? "start" : "within";
    return undefined;
  }
}

/** Longer ones count as keys. */
const MAX_ANSWER = 1024;

/** The control sequences that answer a question and that no key sends: CSI … R, c, n, t or y. */
const ANSWERS = new Set([..."Rcnty"].map((final) => final.charCodeAt(0)));

/** OSC, DCS, APC and PM, whose text ends with BEL or ESC \. */
const STRINGS = new Set([..."]P_^"].map((kind) => kind.charCodeAt(0)));

/** How many bytes an answer of the terminal has that begins here; 0 where none does, or not all of it. */
function answerLength(typed: Uint8Array, at: number): number {
  const kind = typed[at + 1];
  if (typed[at] !== ESC || kind === undefined) return 0;
  const end = Math.min(typed.length, at + MAX_ANSWER);
  if (kind === 0x5b) {
    for (let next = at + 2; next < end; next++) {
      const byte = typed[next] ?? 0;
      if (byte < 0x20 || byte > 0x3f) return ANSWERS.has(byte) ? next + 1 - at : 0;
    }
  } else if (STRINGS.has(kind)) {
    for (let next = at + 2; next < end; next++) {
      if (typed[next] === 0x07) return next + 1 - at;
      if (typed[next] === ESC) return typed[next + 1] === 0x5c ? next + 2 - at : 0;
    }
  }
  return 0;
}

/**
 * One search for many byte strings at once (Aho and Corasick, 1975): each byte is looked at once,
 * whatever the strings and whatever the bytes.
 *
 * States have their children in lists: nearly all have one child, and long values in a dozen encodings
 * would make tables of a hundred megabytes. Where strings are short, there is a table as well.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** A state stands for the longest end of what was read that is the beginning of a string. */
export type State = number;

/** Before anything was read. */
export const START: State = 0;

/** No string ends here. */
export const NONE = -1;

/** The class of bytes that change nothing. */
export const SAME = 0;

/** What two bytes come to from the start on. */
export const Pair = {
  /** The first changes nothing that the second does not. */
  Passed: 0,
  /** Something may have begun. */
  Begun: 1,
  /** The second changes nothing, and what comes behind it makes a pair with the first. */
  Same: 2,
} as const;

/**
 * The same search for classes of bytes that are few, in a third of the time. The next row stands at
 * `rows[row + class]`; its complement, a negative number, where a string ends.
 */
export interface Table {
  readonly classes: Uint8Array;
  readonly rows: Int32Array;
  /**
   * By two bytes, the first as the high one: a {@link Pair}. Most places of most texts are passed over by
   * these.
   */
  readonly pairs: Uint8Array;
  /** The index of the longest string that ends there. */
  found(row: number): number;
}

export class Automaton {
  readonly #first: Int32Array;
  /** A bit for each two bytes that strings can begin with: most places are passed over by these. */
  readonly #pairs = new Int32Array(2_048);
  readonly #byte: Int32Array;
  readonly #child: Int32Array;
  readonly #sibling: Int32Array;
  /** What all strings begin with, where that is long enough for a search of the engine's own. */
  readonly #beginning: Buffer | null;
  /** The state for the next longest end. */
  readonly #fail: Int32Array;
  readonly #found: Int32Array;
  readonly #depth: Int32Array;

  /** Of two equal strings the first is found. */
  constructor(strings: readonly Uint8Array[]) {
    this.#beginning = beginningOf(strings);
    const trie = plant(strings);
    this.#byte = Int32Array.from(trie.byte);
    this.#child = Int32Array.from(trie.child);
    this.#sibling = Int32Array.from(trie.sibling);
    this.#found = Int32Array.from(trie.found);
    this.#depth = Int32Array.from(trie.depth);
    this.#fail = new Int32Array(trie.byte.length);
    this.#first = new Int32Array(256);
    for (let at = this.#child[START] ?? 0; at !== 0; at = this.#sibling[at] ?? 0) {
      this.#first[this.#byte[at] ?? 0] = at;
      this.#pair(at);
    }
    this.#link();
  }

  step(state: State, byte: number): State {
    for (let at = state; at !== START; at = this.#fail[at] ?? 0) {
      const next = this.#childOf(at, byte);
      if (next !== START) return next;
    }
    return this.#first[byte] ?? START;
  }

  /** The index of the longest string that ends here, or {@link NONE}. */
  found(state: State): number {
    return this.#found[state] ?? NONE;
  }

  /** How many of the last bytes may be the beginning of a string. */
  depth(state: State): number {
    return this.#depth[state] ?? 0;
  }

  /** Whether no string goes on from here. */
  isLast(state: State): boolean {
    return this.#child[state] === 0;
  }

  /** Where, from there on, a string can begin; the length of the bytes when nowhere. */
  skip(bytes: Uint8Array, from: number): number {
    const beginning = this.#beginning;
    let at = from;
    if (beginning !== null) {
      const found = Buffer.prototype.indexOf.call(bytes, beginning, from);
      if (found >= 0) return found;
      at = Math.max(from, bytes.length - beginning.length + 1); // where one may be cut off
    }
    const pairs = this.#pairs;
    const last = bytes.length - 1;
    let one = bytes[at] ?? 0;
    while (at < last) {
      const next = bytes[at + 1] ?? 0;
      if (((pairs[one << 3 | next >> 5] ?? 0) >> (next & 31) & 1) === 1) return at;
      one = next;
      at++;
    }
    return at === last && this.#first[one] !== START ? last : bytes.length;
  }

  /** Whether a string stands in the text, one character a byte. Makes nothing, since it is asked of every field. */
  isIn(text: string): boolean {
    const pairs = this.#pairs;
    let state: State = START;
    for (let at = 0; at < text.length; at++) {
      const byte = text.charCodeAt(at) & 0xff;
      if (state === START) {
        const next = text.charCodeAt(at + 1) & 0xff; // 0 at the end, where strings of one byte are
        if (((pairs[byte << 3 | next >> 5] ?? 0) >> (next & 31) & 1) === 0) {
          if (at < text.length - 1 || this.#first[byte] === START) continue;
        }
      }
      state = this.step(state, byte);
      if (this.found(state) !== NONE) return true;
    }
    return false;
  }

  /**
   * As a table; `classes` has a class below `count` for each byte, {@link SAME} for what is passed over.
   * `kept`: a class that is never passed over.
   */
  table(classes: Uint8Array, count: number, kept: number): Table {
    const byteOf = new Map([...classes].map((one, byte) => [one, byte]));
    const rows = new Int32Array(this.#byte.length * count);
    for (let state = 0; state < this.#byte.length; state++) {
      for (let one = 0; one < count; one++) {
        const byte = byteOf.get(one);
        const next = one === SAME || byte === undefined ? state : this.step(state, byte);
        const ends = next !== state && this.found(next) !== NONE;
        rows[state * count + one] = ends ? ~(next * count) : next * count;
      }
    }
    const pairs = pairsOf(classes, count, (one, other) => {
      const [first = 0, alone = 0] = [rows[one], rows[other]];
      // What was begun before a byte that is kept may go on behind it.
      if (one === kept || first < 0 || other === kept && first !== 0) return Pair.Begun;
      if (rows[first + other] === alone) return Pair.Passed;
      return other === SAME ? Pair.Same : Pair.Begun;
    });
    return { classes, rows, pairs, found: (row) => this.found(row / count) };
  }

  #childOf(state: State, byte: number): State {
    let at = this.#child[state] ?? 0;
    while (at !== START && this.#byte[at] !== byte) at = this.#sibling[at] ?? 0;
    return at;
  }

  /** `first`: a child of the start. */
  #pair(first: State): void {
    const row = (this.#byte[first] ?? 0) << 3;
    if (this.#found[first] !== NONE) this.#pairs.fill(-1, row, row + 8);
    for (let at = this.#child[first] ?? 0; at !== 0; at = this.#sibling[at] ?? 0) {
      const second = this.#byte[at] ?? 0;
      this.#pairs[row | second >> 5] = (this.#pairs[row | second >> 5] ?? 0) | 1 << (second & 31);
    }
  }

  /** By depth, since the link of a state leads to a shallower one. */
  #link(): void {
    const queue: State[] = [];
    for (let at = this.#child[START] ?? 0; at !== 0; at = this.#sibling[at] ?? 0) queue.push(at);
    for (let head = 0; head < queue.length; head++) {
      const state = queue[head] ?? START;
      const fail = this.#fail[state] ?? START;
      if (this.#found[state] === NONE) this.#found[state] = this.#found[fail] ?? NONE;
      for (let at = this.#child[state] ?? 0; at !== 0; at = this.#sibling[at] ?? 0) {
        this.#fail[at] = this.step(fail, this.#byte[at] ?? 0);
        queue.push(at);
      }
    }
  }
}

const LEAST_BEGINNING = 4;

function beginningOf([first, ...others]: readonly Uint8Array[]): Buffer | null {
  if (first === undefined) return null;
  let length = first.length;
  for (const other of others) {
    let same = 0;
    while (same < length && first[same] === other[same]) same++;
    length = same;
  }
  return length < LEAST_BEGINNING ? null : Buffer.from(first.subarray(0, length));
}

/** For each two bytes what is true of their classes. */
function pairsOf(
  classes: Uint8Array,
  count: number,
  pair: (one: number, other: number) => number,
): Uint8Array {
  const ofClasses = Uint8Array.from(
    { length: count * count },
    (_, at) => pair(Math.trunc(at / count), at % count),
  );
  return Uint8Array.from(
    { length: 65_536 },
    (_, at) => ofClasses[(classes[at >> 8] ?? 0) * count + (classes[at & 255] ?? 0)] ?? Pair.Begun,
  );
}

/** Nobody's child is the start, so that 0 also stands for "no state". */
interface Trie {
  readonly byte: number[];
  readonly child: number[];
  readonly sibling: number[];
  readonly found: number[];
  readonly depth: number[];
}

function plant(strings: readonly Uint8Array[]): Trie {
  const trie: Trie = { byte: [0], child: [0], sibling: [0], found: [NONE], depth: [0] };
  for (const [index, string] of strings.entries()) {
    if (string.length === 0) throw new TypeError("Cannot search for nothing");
    let state: State = START;
    for (const byte of string) state = descend(trie, state, byte);
    if (trie.found[state] === NONE) trie.found[state] = index;
  }
  return trie;
}

function descend(trie: Trie, state: State, byte: number): State {
  let at = trie.child[state] ?? 0;
  while (at !== 0 && trie.byte[at] !== byte) at = trie.sibling[at] ?? 0;
  if (at !== 0) return at;
  const made = trie.byte.push(byte) - 1;
  trie.child.push(0);
  trie.sibling.push(trie.child[state] ?? 0);
  trie.found.push(NONE);
  trie.depth.push((trie.depth[state] ?? 0) + 1);
  trie.child[state] = made;
  return made;
}

/**
 * One search for many byte strings at once (Aho and Corasick, 1975): its work grows with what is read,
 * whatever the strings and whatever the bytes.
 *
 * States have their children in lists: nearly all have one child, and long values in a dozen encodings
 * would make tables of a hundred megabytes. Where strings are short, there is a table as well.
 *
 * @module
 */

import { MOST_CLASSES, Windows } from "./windows.ts";

/** A state stands for the longest end of what was read that is the beginning of a string. */
export type State = number;

/** Before anything was read. */
export const START: State = 0;

/** No string ends here. */
export const NONE = -1;

/** The class of bytes that change nothing. */
export const SAME = 0;

/**
 * The same search for classes of bytes that are few, in a third of the time. The next row stands at
 * `rows[row + class]`; its complement, a negative number, where a string ends.
 */
export interface Table {
  readonly classes: Uint8Array;
  readonly rows: Int32Array;
  /** The index of the longest string that ends there. */
  found(row: number): number;
}

/** Low bits of bytes, for those that windows are read by. */
const LOW = Uint8Array.from({ length: 256 }, (_, byte) => byte % MOST_CLASSES);

export class Automaton {
  readonly #first: Int32Array;
  readonly #windows: Windows;
  readonly #byte: Int32Array;
  readonly #child: Int32Array;
  readonly #sibling: Int32Array;
  /** The state for the next longest end. */
  readonly #fail: Int32Array;
  readonly #found: Int32Array;
  readonly #depth: Int32Array;

  /** Of two equal strings the first is found. */
  constructor(strings: readonly Uint8Array[]) {
    this.#windows = windowsOf(strings);
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

  /** No string is shorter. */
  get shortest(): number {
    return this.#windows.size;
  }

  /**
   * Where, from there on, a string can begin; the length of the bytes when nowhere. What it is worth asking
   * for is said at {@link Windows.skip}.
   */
  skip(bytes: Uint8Array, from: number): number {
    for (let at = from; at < bytes.length;) {
      at = this.#windows.skip(bytes, at, bytes.length);
      const end = Math.min(at + this.#windows.size, bytes.length);
      for (; at < end; at++) if (this.#first[bytes[at] ?? 0] !== START) return at;
    }
    return bytes.length;
  }

  /** Whether a string stands in the text, one character a byte. Makes nothing, since it is asked of every field. */
  isIn(text: string): boolean {
    if (text.length < this.#windows.size) return false;
    let state: State = START;
    for (let at = 0; at < text.length; at++) {
      state = this.step(state, text.charCodeAt(at) & 0xff);
      if (this.found(state) !== NONE) return true;
    }
    return false;
  }

  /** As a table; `classes` has a class below `count` for each byte, {@link SAME} for what is passed over. */
  table(classes: Uint8Array, count: number): Table {
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
    return { classes, rows, found: (row) => this.found(row / count) };
  }

  #childOf(state: State, byte: number): State {
    let at = this.#child[state] ?? 0;
    while (at !== START && this.#byte[at] !== byte) at = this.#sibling[at] ?? 0;
    return at;
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

function windowsOf(strings: readonly Uint8Array[]): Windows {
  const windows = new Windows(LOW, Math.min(...strings.map(({ length }) => length)));
  for (const string of strings) {
    const classes = [...string].map((byte) => LOW[byte] ?? 0);
    for (let at = 2; at < classes.length; at++) {
      windows.add(classes[at - 2] ?? 0, classes[at - 1] ?? 0, classes[at] ?? 0);
    }
  }
  return windows;
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

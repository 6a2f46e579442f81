/**
 * Replaces byte strings in a stream that comes in pieces: from the left, the longest first, once, as if
 * the whole had been there.
 *
 * Bytes are read again where a long string was begun around a short one and came to nothing: as often as
 * the longest is longer than the shortest at worst, whatever is read.
 *
 * Held back is only what may be the beginning of one of the strings, so that an answer that comes line
 * by line goes on line by line.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { Automaton, NONE, START, type State } from "./automaton.ts";

export interface Replacement {
  readonly from: Uint8Array;
  /** Null: it stays as it is, and is told of. */
  readonly to: Uint8Array | null;
}

/** A list of replacements, ready for any number of streams. */
export class Replacements<R extends Replacement> {
  readonly #automaton: Automaton;
  readonly #list: readonly R[];

  constructor(list: readonly R[]) {
    this.#list = list;
    this.#automaton = new Automaton(list.map(({ from }) => from));
  }

  /** `onFound` is called for each in its order. */
  stream(onFound: (one: R) => void = () => {}): ReplacingStream<R> {
    return new ReplacingStream(this.#automaton, this.#list, onFound);
  }

  /** A text that is there as a whole, one character a byte. */
  text(text: string, onFound: (one: R) => void = () => {}): string {
    if (!this.#automaton.isIn(text)) return text;
    const stream = this.stream(onFound);
    const bytes = Buffer.from(text, "latin1");
    return Buffer.concat([stream.push(bytes), stream.end()]).toString("latin1");
  }

  /** Whether no replacement changes the length of what it is in. */
  get keepsLength(): boolean {
    return this.#list.every(({ from, to }) => to === null || to.length === from.length);
  }
}

/** A string that was found, and may turn out to be the beginning or a part of a longer one. */
interface Candidate {
  readonly start: number;
  readonly end: number;
  readonly index: number;
}

export class ReplacingStream<R extends Replacement> {
  readonly #automaton: Automaton;
  readonly #list: readonly R[];
  readonly #onFound: (one: R) => void;
  /** What was read and not given; places of candidates count from its beginning. */
  #held: Uint8Array = NOTHING;
  #state: State = START;
  #candidate: Candidate | null = null;

  constructor(automaton: Automaton, list: readonly R[], onFound: (one: R) => void) {
    this.#automaton = automaton;
    this.#list = list;
    this.#onFound = onFound;
  }

  /** What can be said of everything up to the end of these bytes. May share memory with them. */
  push(bytes: Uint8Array): Buffer {
    const work = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    return this.#read(work, this.#held.length, false);
  }

  /** The rest. */
  end(): Buffer {
    return this.#read(this.#held, this.#held.length, true);
  }

  #read(work: Uint8Array, from: number, last: boolean): Buffer {
    const pieces: Uint8Array[] = [];
    let copied = 0;
    for (let at = from;;) {
      at = this.#find(work, at);
      const found = this.#candidate;
      if (found === null || at === work.length && !last && !this.#isDecided(found, at)) break;
      const one = this.#list[found.index];
      if (one !== undefined) {
        this.#onFound(one);
        pieces.push(work.subarray(copied, one.to === null ? found.end : found.start));
        if (one.to !== null) pieces.push(one.to);
      }
      copied = at = found.end;
      this.#state = START;
      this.#candidate = null;
    }
    const keep = last ? work.length : work.length - this.#automaton.depth(this.#state);
    if (copied === 0 && keep === work.length) {
      this.#held = NOTHING;
      return asBuffer(work);
    }
    if (this.#candidate !== null) {
      const { start, end, index } = this.#candidate;
      this.#candidate = { start: start - keep, end: end - keep, index };
    }
    // A copy: the rest of a large piece is not kept for a few bytes, nor changed under our hands.
    this.#held = Uint8Array.from(work.subarray(keep));
    pieces.push(work.subarray(copied, keep));
    return pieces.length === 1 ? asBuffer(pieces[0]) : Buffer.concat(pieces);
  }

  /** Reads on until a candidate is decided, or to the end. Answers how far it came. */
  #find(work: Uint8Array, from: number): number {
    let at = from;
    while (at < work.length) {
      if (this.#state === START) {
        at = this.#automaton.skip(work, at);
        if (at === work.length) break;
      }
      this.#state = this.#automaton.step(this.#state, work[at++] ?? 0);
      const index = this.#automaton.found(this.#state);
      if (index !== NONE) this.#consider(index, at);
      if (this.#candidate !== null && this.#isDecided(this.#candidate, at)) break;
    }
    return at;
  }

  /** One that began earlier is better; of those that began together, the later, longer one. */
  #consider(index: number, end: number): void {
    const start = end - (this.#list[index]?.from.length ?? 0);
    if (this.#candidate === null || start <= this.#candidate.start) {
      this.#candidate = { start, end, index };
    }
  }

  /** Nothing that began there or before it can still become a string. */
  #isDecided({ start }: Candidate, at: number): boolean {
    const earliest = at - this.#automaton.depth(this.#state);
    return earliest > start || earliest === start && this.#automaton.isLast(this.#state);
  }
}

const NOTHING = new Uint8Array(0);

function asBuffer(bytes: Uint8Array = NOTHING): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

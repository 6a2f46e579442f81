/**
 * Replaces byte strings in a stream that comes in pieces: from the left, the longest first, once, as if
 * the whole had been there.
 *
 * Bytes are looked at twice where nothing can be skipped. They are read again where a long string was begun
 * around a short one and came to nothing: as often as the longest is longer than the shortest at worst,
 * whatever is read.
 *
 * Held back is only what may be the beginning of one of the strings, so that an answer that comes line
 * by line goes on line by line. Where nothing more comes, and somebody may wait for it, a beginning can be
 * let go: then no more than the rest of that string is replaced, or none of it.
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

/** What becomes of a string whose beginning was let go before it was whole. */
export type Torn =
  | "cut" // the rest of it is replaced by the rest of what stands for it
  | "left"; // it stays as it is, and is not told of

/** Bytes of a beginning that may be let go: no text ends with more by chance. */
const MOST_LET_GO = 16;

/** A list of replacements, ready for any number of streams. */
export class Replacements<R extends Replacement> {
  readonly #automaton: Automaton;
  readonly #list: readonly R[];
  /** Never more than half of the shortest string. */
  readonly #mostLetGo: number;

  constructor(list: readonly R[]) {
    this.#list = list;
    this.#automaton = new Automaton(list.map(({ from }) => from));
    const shortest = list.reduce((least, { from }) => Math.min(least, from.length), Infinity);
    this.#mostLetGo = Math.min(MOST_LET_GO, Math.floor(shortest / 2));
  }

  /** `onFound` is called for each in its order. */
  stream(onFound: (one: R) => void = () => {}, torn: Torn = "cut"): ReplacingStream<R> {
    return new ReplacingStream(this.#automaton, this.#list, onFound, torn, this.#mostLetGo);
  }

  /** Whether one of the strings stands in the text, one character a byte. */
  areIn(text: string): boolean {
    return this.#automaton.isIn(text);
  }

  /** A text that is there as a whole, one character a byte. */
  text(text: string, onFound: (one: R) => void = () => {}): string {
    if (!this.areIn(text)) return text;
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
  readonly #torn: Torn;
  readonly #mostLetGo: number;
  /** What was read and may be a beginning; places of candidates count from its first byte. */
  #held: Uint8Array = NOTHING;
  /** How much of it was let go. */
  #gone = 0;
  #state: State = START;
  #candidate: Candidate | null = null;

  constructor(
    automaton: Automaton,
    list: readonly R[],
    onFound: (one: R) => void,
    torn: Torn,
    mostLetGo: number,
  ) {
    this.#automaton = automaton;
    this.#list = list;
    this.#onFound = onFound;
    this.#torn = torn;
    this.#mostLetGo = mostLetGo;
  }

  /** Whether something was read and not given. */
  get holds(): boolean {
    return this.#held.length > this.#gone;
  }

  /**
   * What is held, as it came, for whoever reads on. Null where the beginning of it was let go: whoever did
   * not read that would not know the rest.
   */
  handOver(): Uint8Array | null {
    return this.#gone > 0 ? null : this.#held;
  }

  /** Of what is held, all that is safe to give while nothing more comes. */
  letGo(): Buffer {
    const found = this.#candidate;
    if (found === null) {
      const isMore = this.#held.length > this.#mostLetGo;
      const out = isMore ? NOTHING : this.#held.subarray(this.#gone);
      if (!isMore) this.#gone = this.#held.length;
      return Buffer.from(out);
    }
    // What may have become a longer one counts as it is.
    const after = this.#held.subarray(found.end);
    this.#held = this.#held.subarray(0, found.end);
    const whole = this.end();
    return Buffer.concat([whole, this.push(after), this.letGo()]);
  }

  /** What can be said of everything up to the end of these bytes. May share memory with them. */
  push(bytes: Uint8Array): Buffer {
    const work = this.#held.length === 0 ? bytes : Buffer.concat([this.#held, bytes]);
    return this.#read(work, this.#held.length, false);
  }

  /** The rest. What is pushed behind it is a text of its own. */
  end(): Buffer {
    const rest = this.#read(this.#held, this.#held.length, true);
    this.#state = START;
    return rest;
  }

  #read(work: Uint8Array, from: number, last: boolean): Buffer {
    const pieces: Uint8Array[] = [];
    let copied = this.#gone;
    for (let at = from;;) {
      at = this.#find(work, at);
      const found = this.#candidate;
      if (found === null || at === work.length && !last && !this.#isDecided(found, at)) break;
      const one = this.#list[found.index];
      const gone = Math.max(0, copied - found.start);
      if (one === undefined || gone > 0 && this.#torn === "left") {
        pieces.push(work.subarray(copied, found.end));
      } else {
        this.#onFound(one);
        pieces.push(work.subarray(copied, one.to === null ? found.end : found.start + gone));
        if (one.to !== null) pieces.push(one.to.subarray(gone));
      }
      copied = at = found.end;
      this.#state = START;
      this.#candidate = null;
    }
    const keep = last ? work.length : work.length - this.#automaton.depth(this.#state);
    this.#gone = Math.max(0, copied - keep);
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
    pieces.push(work.subarray(copied, Math.max(copied, keep)));
    return pieces.length === 1 ? asBuffer(pieces[0]) : Buffer.concat(pieces);
  }

  /** Reads on until a candidate is decided, or to the end. Answers how far it came. */
  #find(work: Uint8Array, from: number): number {
    let at = from;
    let skipFrom = from; // before that a window would be looked at again, for each byte that begins a string
    while (at < work.length) {
      if (this.#state === START && at >= skipFrom) {
        at = this.#automaton.skip(work, at);
        skipFrom = at + this.#automaton.shortest;
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

const NOTHING = Buffer.alloc(0);

function asBuffer(bytes: Uint8Array = NOTHING): Buffer {
  if (Buffer.isBuffer(bytes)) return bytes;
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

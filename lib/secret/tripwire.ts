/**
 * The tripwire: notices placeholders in bytes of any kind, on their way to somewhere.
 *
 * It knows placeholders and no values, and decides nothing: what it misses leaves as a placeholder,
 * which is worth nothing, and the boundary (`grant.ts`) does not ask it. It looks for the random part
 * alone, as it is, in hexadecimal and in base64 at each offset, in any case, across blanks, line ends
 * and dots (so that wrapped base64, UTF-16 and the labels of a DNS name are seen as well), and for all
 * that again behind one and two layers of escapes. A guest that means to can hide it from any search;
 * what is found is the accident, and the usual ways of being clever.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { CLASS_COUNT, CLASSES, ESCAPE, folded } from "./alphabet.ts";
import { Automaton, SAME, type Table } from "./automaton.ts";
import { base64Inside, OFFSETS } from "./encodings.ts";
import type { Placeholder } from "./placeholder.ts";
import { Skim } from "./skim.ts";
import { beginsEscape, Unescaper } from "./unescape.ts";
import { GRAM } from "./windows.ts";

export type Disguise = "plain" | "hex" | "base64";

export interface Sighting {
  /** Of the secret. */
  readonly name: string;
  readonly disguise: Disguise;
  /** Behind so many layers of percent, JSON or HTML escapes. */
  readonly escapes: number;
}

/** `%2561` for an `a`, or `\\u0061`: one escape inside another. */
const LAYERS = 2;

/** For texts, of which each request has one. */
const SCRATCH = Buffer.alloc(32 << 10);

const NOTHING: readonly Sighting[] = [];

/** A placeholder, and the secret that it is of. */
export interface Tripping {
  readonly name: string;
  readonly placeholder: Placeholder;
}

/** What is looked for, ready for any number of streams. */
interface Search {
  readonly table: Table;
  readonly skim: Skim;
  /** Characters of the shortest string; what is shorter has none in it, as escapes and blanks only add to them. */
  readonly shortest: number;
  /** By the index of the string, behind no escapes. */
  readonly sightings: readonly Sighting[];
}

/** The placeholders of one sandbox. */
export class Tripwire {
  #search: Search;

  constructor(placeholders: Iterable<Tripping>) {
    this.#search = searchFor(placeholders);
  }

  /** From now on it is these; a stream that is watched already goes by those that there were. */
  set(placeholders: Iterable<Tripping>): void {
    this.#search = searchFor(placeholders);
  }

  /** A whole: a datagram, a name, a first flight, a field. Text is taken as one character a byte. */
  scan(bytes: Uint8Array | string): readonly Sighting[] {
    if (bytes.length < this.#search.shortest) return NOTHING;
    if (typeof bytes !== "string") return this.watch().push(bytes);
    if (bytes.length > SCRATCH.length) return this.watch().push(Buffer.from(bytes, "latin1"));
    return this.watch().push(SCRATCH, SCRATCH.write(bytes, "latin1"));
  }

  /** A stream of bytes, to be pushed in its order. */
  watch(): Watch {
    return new Watch(this.#search);
  }
}

function searchFor(placeholders: Iterable<Tripping>): Search {
  const strings: string[] = [];
  const sightings: Sighting[] = [];
  for (const { name, placeholder: { core } } of placeholders) {
    for (const [disguise, text] of disguises(core)) {
      strings.push(folded(text));
      sightings.push({ name, disguise, escapes: 0 });
    }
  }
  const automaton = new Automaton(strings.map((one) => Buffer.from(one, "latin1")));
  const shortest = strings.reduce((least, { length }) => Math.min(least, length), Infinity);
  const table = automaton.table(CLASSES, CLASS_COUNT);
  return { table, skim: new Skim(strings), shortest, sightings };
}

function disguises(core: string): [Disguise, string][] {
  const found: [Disguise, string][] = [["plain", core]];
  for (const text of [core.toLowerCase(), core.toUpperCase()]) {
    const bytes = Buffer.from(text, "latin1");
    found.push(["hex", bytes.toString("hex")]);
    for (const offset of OFFSETS) found.push(["base64", base64Inside(bytes, offset)]);
  }
  return found;
}

/**
 * One stream. Nothing is held back: the beginning of a placeholder may have passed before its end is
 * seen, so that what {@link push} complains about is the piece that must not go on.
 */
export class Watch {
  readonly #search: Search;
  /** Of the text without its escapes; null until there is one. */
  #layer: Layer | null = null;
  #row = 0;
  #seen: Sighting[] = [];

  constructor(search: Search) {
    this.#search = search;
  }

  /** The placeholders that end in these bytes, each once. */
  push(bytes: Uint8Array, length: number = bytes.length): readonly Sighting[] {
    this.#seen = [];
    const { table, skim } = this.#search;
    const { classes, rows } = table;
    let row = this.#row;
    let quiet = this.#layer === null || this.#layer.quiet;
    let skipFrom = 0; // before that nothing can be skipped
    const skipTo = length - GRAM;
    for (let at = 0; at < length; at++) {
      if (row === 0 && quiet && at >= skipFrom && at <= skipTo) {
        at = skim.skip(bytes, at, length);
        skipFrom = at + skim.size;
        if (at === length) break;
      }
      const byte = bytes[at] ?? 0;
      const kind = classes[byte] ?? SAME;
      const before = row;
      row = rows[before + kind] ?? 0;
      if (row < 0) {
        row = ~row;
        this.#see(row, 0);
      }
      if (quiet && kind !== ESCAPE) continue;
      const layer = this.#layer ??= layered(LAYERS, table, this.#see);
      layer.push(byte, before, row);
      quiet = layer.quiet;
    }
    this.#row = row;
    return this.#seen;
  }

  readonly #see = (row: number, escapes: number): void => {
    const { table, sightings } = this.#search;
    const sighting = sightings[table.found(row)];
    if (sighting === undefined || this.#seen.some(({ name }) => name === sighting.name)) return;
    this.#seen.push(escapes === 0 ? sighting : { ...sighting, escapes });
  };
}

type See = (row: number, depth: number) => void;

function layered(count: number, table: Table, see: See): Layer {
  let inner: Layer | null = null;
  for (let depth = count; depth > 1; depth--) inner = new Layer(depth, table, see, inner);
  return new Layer(1, table, see, inner);
}

/**
 * The same text without one layer of escapes. As long as there was none lately, it is the text above it
 * and its search is in the same row, so that there is nothing to do.
 */
class Layer {
  readonly #depth: number;
  readonly #table: Table;
  readonly #see: See;
  readonly #inner: Layer | null;
  readonly #unescaper = new Unescaper();
  /** Whether text or row differ from those above; only then is there a row of its own. */
  #apart = false;
  #row = 0;

  constructor(depth: number, table: Table, see: See, inner: Layer | null) {
    this.#depth = depth;
    this.#table = table;
    this.#see = see;
    this.#inner = inner;
  }

  /** Nothing here or further in needs to be told of a byte that begins no escape. */
  get quiet(): boolean {
    return !this.#apart && (this.#inner === null || this.#inner.quiet);
  }

  /** `before` and `after`: the rows around this byte in the text above. */
  push(byte: number, before: number, after: number): void {
    if (!this.#apart) {
      if (!beginsEscape(byte)) {
        this.#inner?.push(byte, before, after);
        return;
      }
      this.#apart = true;
      this.#row = before;
    }
    const given = this.#unescaper.push(byte);
    for (let at = 0; at < given; at++) this.#take(this.#unescaper.out[at] ?? 0);
    this.#apart = !this.#unescaper.idle || this.#row !== after;
  }

  #take(byte: number): void {
    const { classes, rows } = this.#table;
    const before = this.#row;
    const row = rows[before + (classes[byte] ?? SAME)] ?? 0;
    this.#row = row < 0 ? ~row : row;
    if (row < 0) this.#see(this.#row, this.#depth);
    this.#inner?.push(byte, before, this.#row);
  }
}

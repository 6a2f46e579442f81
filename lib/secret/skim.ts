/**
 * Passes over what no placeholder touches, whatever disguises and escapes there are, and looks at little
 * of it.
 *
 * An escape ends at the first byte that is none of {@link IN_ESCAPES} and begins none, in every layer: such
 * a byte is plain, also behind a backslash. So where three bytes have no escape begin among them, and are
 * not the rest of some with a part of a string behind it, nothing that was begun goes on over all three,
 * and each search stands behind them as if it had begun at the second.
 *
 * @module
 */

import { CLASSES, classesOf, ESCAPE, IN_ESCAPES, LETTERS } from "./alphabet.ts";
import { SAME } from "./automaton.ts";
import { Windows } from "./windows.ts";

/** Every class. */
const ALL = [...new Set(CLASSES)];

export class Skim {
  /** For a stretch without escapes. */
  readonly #plain: Windows;
  /** For any. */
  readonly #escaped: Windows;

  /** One character a byte. */
  constructor(strings: readonly string[]) {
    this.#plain = windowsOf(strings, [SAME]);
    this.#escaped = windowsOf(strings, [SAME, ...IN_ESCAPES]);
    for (const one of ALL) {
      for (const other of ALL) {
        this.#escaped.add(ESCAPE, one, other);
        this.#escaped.add(one, ESCAPE, other);
        this.#escaped.add(one, other, ESCAPE);
      }
    }
  }

  /** As of {@link Windows.size}. */
  get size(): number {
    return this.#plain.size;
  }

  /**
   * As {@link Windows.skip}, for a search that stands at its start, with no escape begun. From there on it
   * goes on as if it had read everything.
   */
  skip(bytes: Uint8Array, from: number, to: number): number {
    for (let at = from;;) {
      while (at < to && CLASSES[bytes[at] ?? 0] === SAME) at++;
      const start = at = this.#escaped.skip(bytes, at, to);
      // None is begun at its start: without one inside, digits are no rest of any, as in hexadecimal.
      while (!hasEscape(bytes, at, Math.min(at + this.size, to))) {
        const next = this.#plain.skip(bytes, at, Math.min(at + this.size, to));
        if (next === at) return at;
        at = next;
      }
      if (at === start) return at;
    }
  }
}

function hasEscape(bytes: Uint8Array, from: number, to: number): boolean {
  for (let at = from; at < to; at++) if (CLASSES[bytes[at] ?? 0] === ESCAPE) return true;
  return false;
}

/** `before`: classes that may stand in front of a part of a string. Between its characters, {@link SAME} may. */
function windowsOf(strings: readonly string[], before: readonly number[]): Windows {
  const windows = new Windows(CLASSES, Math.min(...strings.map(({ length }) => length)));
  for (const one of before) {
    for (const two of before) {
      for (const three of [...before, ...LETTERS]) windows.add(one, two, three);
    }
    for (const letter of LETTERS) windows.add(one, letter, SAME);
  }
  for (const letter of LETTERS) windows.add(letter, SAME, SAME);
  for (const string of strings) {
    const classes = classesOf(string);
    for (const [at, two] of classes.entries()) {
      const [three, four] = [classes[at + 1], classes[at + 2]];
      if (three === undefined) break;
      for (const one of before) windows.add(one, two, three);
      windows.add(two, SAME, three);
      windows.add(two, three, SAME);
      if (four !== undefined) windows.add(two, three, four);
    }
  }
  return windows;
}

/**
 * Passes over what holds none of some strings and looks at little of it (after Wu and Manber, 1994).
 *
 * What holds a string is at least as long as the shortest. Of a window of that length the last three
 * bytes are looked at: where those stand side by side in no string, the next window begins at the second
 * of them. Else those before them are asked, back to the beginning of the window.
 *
 * @module
 */

/** Two side by side stand in some string too often, where there are many. What is shorter is never skipped. */
export const GRAM = 3;

/** Of a class. */
const BITS = 6;

/** Of bytes. */
export const MOST_CLASSES = 1 << BITS;

/** Which three classes stand side by side in what holds a string. */
export class Windows {
  /** No string is shorter. */
  readonly size: number;
  readonly #classes: Uint8Array;
  readonly #grams = new Int32Array(1 << BITS * GRAM >> 5);

  /** `classes`: the one of each byte, below {@link MOST_CLASSES}. */
  constructor(classes: Uint8Array, size: number) {
    if (classes.some((one) => one >= MOST_CLASSES)) {
      throw new RangeError("Too many classes of bytes");
    }
    this.#classes = classes;
    this.size = size;
  }

  add(one: number, two: number, three: number): void {
    const gram = (one << BITS | two) << BITS | three;
    this.#grams[gram >> 5] = (this.#grams[gram >> 5] ?? 0) | 1 << (gram & 31);
  }

  /**
   * No string begins between `from` and there, and a search that begins there stands at `to` where one that
   * began at `from` does. Looked at is no more than what is skipped and the one window from there on, which
   * may hold a string or is cut off. It is looked at again by whoever asks again before its end: who reads
   * on to there first looks at nothing more than twice, however long windows are.
   */
  skip(bytes: Uint8Array, from: number, to: number): number {
    const classes = this.#classes;
    const grams = this.#grams;
    for (let start = from;;) {
      let at = Math.min(start + this.size, to) - GRAM;
      if (at < start) return start;
      let gram = ((classes[bytes[at] ?? 0] ?? 0) << BITS | (classes[bytes[at + 1] ?? 0] ?? 0)) <<
          BITS | (classes[bytes[at + 2] ?? 0] ?? 0);
      while (((grams[gram >> 5] ?? 0) >> (gram & 31) & 1) === 1) {
        if (at === start) return start;
        at--;
        gram = gram >> BITS | (classes[bytes[at] ?? 0] ?? 0) << 2 * BITS;
      }
      start = at + 1;
    }
  }
}

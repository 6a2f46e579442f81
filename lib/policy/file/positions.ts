/**
 * Lines and columns of a text, for people.
 *
 * @module
 */

/** Both begin with 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** Finds many positions in one text: its lines are looked for once. */
export class Positions {
  readonly #text: string;
  #starts: readonly number[] | undefined;

  constructor(text: string) {
    this.#text = text;
  }

  /** Of an offset into the text. */
  at(offset: number): Position {
    const starts = this.#starts ??= lineStarts(this.#text);
    let [first, last] = [0, starts.length - 1];
    while (first < last) {
      const middle = Math.ceil((first + last) / 2);
      if ((starts[middle] ?? 0) <= offset) first = middle;
      else last = middle - 1;
    }
    return { line: first + 1, column: offset - (starts[first] ?? 0) + 1 };
  }
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", end + 1)) {
    starts.push(end + 1);
  }
  return starts;
}

/**
 * "Did you mean": the known word closest to a mistyped one.
 *
 * @module
 */

/**
 * The word that differs least from `typed`, if it is close enough to be a slip of the finger: one
 * edit in a short word, up to a third of the letters in a long one, and never more than `most`. Case does
 * not count.
 */
export function nearest(
  typed: string,
  words: Iterable<string>,
  most = Number.POSITIVE_INFINITY,
): string | null {
  // Nobody mistypes a word of this length, and the comparison is quadratic.
  if (typed.length > 64) return null;
  const wanted = typed.toLowerCase();
  let best: string | null = null;
  let least = Math.min(most, Math.max(1, Math.floor(wanted.length / 3))) + 1;
  for (const word of words) {
    const distance = editDistance(wanted, word.toLowerCase());
    if (distance < least) {
      best = word;
      least = distance;
    }
  }
  return best;
}

/** Insertions, deletions, substitutions and swaps of neighbours (optimal string alignment). */
function editDistance(one: string, other: string): number {
  let before: number[] = [];
  let above = Array.from({ length: other.length + 1 }, (_, column) => column);
  for (let row = 1; row <= one.length; row++) {
    const current = [row];
    for (let column = 1; column <= other.length; column++) {
      const same = one[row - 1] === other[column - 1];
      let cost = Math.min(
        at(above, column) + 1,
        at(current, column - 1) + 1,
        at(above, column - 1) + (same ? 0 : 1),
      );
      const swapped = one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      if (swapped) cost = Math.min(cost, at(before, column - 2) + 1);
      current.push(cost);
    }
    before = above;
    above = current;
  }
  return at(above, other.length);
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Number.POSITIVE_INFINITY;
}

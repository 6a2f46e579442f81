/**
 * What was worked out before, where nothing that it depends on is another. Peers say most things again and
 * again: the same few words in each message, the same fields in each request of a connection.
 *
 * @module
 */

const MOST_WORDS = 64;
const LONGEST_WORD = 100;

/**
 * The same function of a word, which is to depend on nothing else. Peers have few words, so that the first few
 * answers are kept; whatever else comes is worked out each time.
 */
export function recalling<T>(answer: (word: string) => T): (word: string) => T {
  const known = new Map<string, T>();
  return (word) => {
    const before = known.get(word);
    if (before !== undefined) return before;
    const now = answer(word);
    if (word.length <= LONGEST_WORD && known.size < MOST_WORDS) known.set(word, now);
    return now;
  };
}

/** The same function, which is to depend on nothing but these two; asked for the very same, it answers as before. */
export function recallingLast<A, B, T>(answer: (one: A, other: B) => T): (one: A, other: B) => T {
  let last: { readonly one: A; readonly other: B; readonly answer: T } | null = null;
  return (one, other) => {
    if (last === null || last.one !== one || last.other !== other) {
      last = { one, other, answer: answer(one, other) };
    }
    return last.answer;
  };
}

/** A list that says what the one before it said is that one, so that it is known for the same. */
export function repeating<T>(
  isSame: (one: T, other: T) => boolean,
): (list: readonly T[]) => readonly T[] {
  let last: readonly T[] = [];
  return (list) => {
    if (list.length !== last.length) return last = list;
    for (let at = 0; at < list.length; at++) {
      if (!isSame(list[at] as T, last[at] as T)) return last = list;
    }
    return last;
  };
}

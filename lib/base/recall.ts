/**
 * Answers about words that peers say in each message: names of fields, types of content. They have few, so
 * that the first few answers are kept; whatever else comes is worked out each time.
 *
 * @module
 */

const MOST_WORDS = 64;
const LONGEST_WORD = 100;

/** The same function, which is to depend on nothing but the word. */
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

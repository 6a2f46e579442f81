/**
 * Numbers that only look random: the same seed, the same run.
 *
 * @module
 */

export interface Random {
  /** An integer from 0 to below `limit`. */
  below(limit: number): number;
  pick<T>(choices: readonly T[]): T;
}

export function random(seed: number): Random {
  let state = seed * 0x9e3779b1 >>> 0 || 0x2545f491;
  const below = (limit: number) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % Math.max(1, limit);
  };
  return {
    below,
    pick(choices) {
      const choice = choices[below(choices.length)];
      if (choice === undefined) throw new Error("nothing to pick from");
      return choice;
    },
  };
}

/** The bytes in pieces of random sizes, from one byte on. */
export function cut(bytes: Uint8Array, { below, pick }: Random): Uint8Array[] {
  const most = pick([1, 7, 100, 5_000, bytes.length]);
  const pieces: Uint8Array[] = [];
  for (let at = 0; at < bytes.length;) {
    const to = at + 1 + below(most);
    pieces.push(bytes.subarray(at, to));
    at = to;
  }
  return pieces;
}

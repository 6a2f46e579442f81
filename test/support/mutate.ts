/**
 * Damaged copies of real captures: flipped bytes, cuts, doubled parts. The seed is fixed, so that a
 * failure can be repeated.
 *
 * @module
 */

/** Calls `visit` with `count` mutations of the corpus. */
export function mutate(
  corpus: readonly Uint8Array[],
  count: number,
  visit: (sample: Uint8Array) => void,
): void {
  let state = 0x2545f491;
  const below = (limit: number) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % Math.max(1, limit);
  };
  for (let i = 0; i < count; i++) {
    let sample = Uint8Array.from(corpus[below(corpus.length)] ?? []);
    for (let edits = below(6); edits >= 0 && sample.length > 0; edits--) {
      const kind = below(4);
      const at = below(sample.length);
      if (kind < 2) sample[at] = below(256);
      else if (kind === 2) sample = sample.slice(0, at);
      else {sample = Uint8Array.of(
          ...sample.slice(0, at),
          ...sample.slice(at),
          ...sample.slice(at, at + 64),
        );}
    }
    visit(sample);
  }
}

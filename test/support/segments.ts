/**
 * The same bytes in other pieces. What a reader makes of a stream may not depend on where the network
 * happened to cut it.
 *
 * @module
 */
import fc from "fast-check";

/** Pieces of these bytes in order, none empty: whole, byte by byte, and cut at any places. */
export function cuts(bytes: Uint8Array): fc.Arbitrary<Uint8Array[]> {
  const places = fc.oneof(
    fc.constant<number[]>([]),
    fc.constant([...bytes.keys()]),
    fc.array(fc.nat(bytes.length), { maxLength: 12 }),
    // One place after another, as a slow sender's.
    fc.tuple(fc.nat(bytes.length), fc.nat(16)).map(([at, run]) =>
      Array.from({ length: run }, (_, n) => at + n)
    ),
  );
  return places.map((at) => {
    const sorted = [...new Set([0, ...at])].sort((a, b) => a - b);
    return sorted.map((from, n) => bytes.subarray(from, sorted[n + 1]))
      .filter((piece) => piece.length > 0);
  });
}

/** What came out before the reader's error, and the error's message. */
export interface Outcome<T> {
  readonly read: readonly T[];
  readonly error: string | null;
}

/** Reads all pieces. `copy` takes a value out of memory that the reader uses again. */
export function readAll<T>(
  push: (piece: Uint8Array) => Iterable<T>,
  pieces: readonly Uint8Array[],
  copy: (value: T) => T = (value) => value,
): Outcome<T> {
  const read: T[] = [];
  try {
    for (const piece of pieces) {
      // The sender's memory is used again as well.
      const own = piece.slice();
      for (const value of push(own)) read.push(copy(value));
      own.fill(0xff);
    }
    return { read, error: null };
  } catch (error) {
    return { read, error: error instanceof Error ? error.message : String(error) };
  }
}

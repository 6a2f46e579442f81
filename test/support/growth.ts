/**
 * How the cost of reading grows with the size of what is read. Counted in processor time, which a busy
 * machine does not change, and the least of several runs: the collector's turn is none of the reader's.
 *
 * @module
 */
import process from "node:process";

/** Reads something of this size; what it throws counts as an answer. */
export type Reading = (size: number) => unknown;

export interface Growth {
  /** The larger size; the smaller one is an eighth of it. */
  readonly size: number;
  /** Microseconds for each. */
  readonly small: number;
  readonly large: number;
  /** Linear: about 8. Quadratic: about 64. */
  readonly ratio: number;
}

/** Between linear and quadratic, with room for caches that no longer hold the larger size. */
export const SUBQUADRATIC = 28;

const FIRST = 512;

/** Microseconds: sizes grow until one costs this much. What costs less than a tenth of it is not compared. */
const ENOUGH = 20_000;

/** A size that looks too dear is measured again so often, before it is believed. */
const DOUBTS = 6;

/**
 * Doubles the size up to `most`, or until it costs `enough`, and compares it with an eighth of it. A reader
 * that does much for each byte hides a square among it until it costs more.
 */
export function growth(
  read: Reading,
  { most, enough = ENOUGH, limit = SUBQUADRATIC }: {
    readonly most: number;
    readonly enough?: number;
    /** A ratio that is worth a doubt. */
    readonly limit?: number;
  },
): Growth {
  for (let run = 0; run < 10; run++) cost(read, FIRST);
  const costs = [];
  let size = FIRST;
  for (;; size *= 2) {
    costs.push(Math.min(cost(read, size), cost(read, size)));
    if (size * 2 > most || (costs.at(-1) ?? 0) > enough && costs.length > 3) break;
  }
  let [small = 0, large = 0] = [costs.at(-4), costs.at(-1)];
  const suspect = () => large > enough / 10 && large > small * limit;
  for (let doubt = 0; suspect() && doubt < DOUBTS; doubt++) {
    small = Math.max(1, Math.min(...Array.from({ length: 8 }, () => cost(read, size / 8))));
    large = Math.min(large, cost(read, size));
  }
  // A square grows on; a step, as where the collector begins to have work, is behind the next size.
  if (suspect() && size * 2 <= most) return growth(read, { most, enough: large * 2, limit });
  return { size, small, large, ratio: large > enough / 10 ? large / Math.max(1, small) : 1 };
}

function cost(read: Reading, size: number): number {
  const before = process.cpuUsage();
  try {
    read(size);
  } catch {
    // Refused.
  }
  const { user, system } = process.cpuUsage(before);
  return user + system;
}

/**
 * Interleaved rounds and what they come to. On a machine that does other things as well, two runs a
 * minute apart differ by more than most changes do; rounds taken in turn see the same weather, and a
 * ratio within one round more so.
 *
 * @module
 */
import type { Round, Series, Subject } from "./benchmark.ts";

/**
 * Runs every subject once a round, in an order that turns, after `warmUp` rounds that don't count. One that fails in
 * a round is left out, of all of them, and `note` hears why; without `note` nobody would, and the failure is thrown.
 *
 * @throws Error when nobody is left
 */
export async function interleave(
  subjects: readonly Subject[],
  rounds: number,
  { warmUp = 1, note }: { warmUp?: number; note?: (line: string) => void } = {},
): Promise<Series[]> {
  const taken = new Map(subjects.map((subject) => [subject, [] as Round[]]));
  for (let turn = -warmUp; turn < rounds; turn++) {
    note?.(turn < 0 ? "warm-up" : `round ${turn + 1} of ${rounds}`);
    for (let place = 0; place < subjects.length; place++) {
      // Nobody always runs right after the same neighbour's leftovers.
      const subject = subjects[(place + turn + warmUp) % subjects.length];
      const own = subject && taken.get(subject);
      if (subject === undefined || own === undefined) continue;
      try {
        const round = await subject.round();
        if (turn >= 0) own.push(round);
      } catch (error) {
        if (note === undefined) throw error;
        note(`without ${subject.name}: ${error instanceof Error ? error.message : error}`);
        taken.delete(subject);
        if (taken.size === 0) throw new Error("Cannot measure: nobody is left", { cause: error });
      }
    }
  }
  return [...taken].map(([{ name }, rounds]) => ({ name, rounds }));
}

/** The median of one figure; NaN when it was never measured. */
export function medianOf({ rounds }: Series, figure: string): number {
  return quantile(rounds.flatMap((round) => round[figure] ?? []), 0.5);
}

/** The median over rounds of one subject's figure divided by another's in the same round. */
export function ratioOf(one: Series, other: Series, figure: string): number {
  const ratios = one.rounds.flatMap((round, index) => {
    const [above, below] = [round[figure], other.rounds[index]?.[figure]];
    return above === undefined || below === undefined ? [] : [above / below];
  });
  return quantile(ratios, 0.5);
}

/** The value below which this share of the samples lies, interpolated; NaN of none. */
export function quantile(samples: readonly number[], share: number): number {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * share;
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  if (low === undefined || high === undefined) return NaN;
  return low + (high - low) * (at - Math.floor(at));
}

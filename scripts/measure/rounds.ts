/**
 * Interleaved rounds and what they come to. On a machine that does other things as well, two runs a
 * minute apart differ by more than most changes do; rounds taken in turn see the same weather, and a
 * ratio within one round more so.
 *
 * @module
 */
import type { Round, Series, Subject } from "./benchmark.ts";

/** Runs every subject once a round, in an order that turns, after `warmUp` rounds that don't count. */
export async function interleave(
  subjects: readonly Subject[],
  rounds: number,
  { warmUp = 1, note = (_: string): void => {} } = {},
): Promise<Series[]> {
  const series = subjects.map(({ name }) => ({ name, rounds: [] as Round[] }));
  for (let turn = -warmUp; turn < rounds; turn++) {
    note(turn < 0 ? "warm-up" : `round ${turn + 1} of ${rounds}`);
    for (let place = 0; place < subjects.length; place++) {
      // Nobody always runs right after the same neighbour's leftovers.
      const index = (place + turn + warmUp) % subjects.length;
      const round = await subjects[index]?.round();
      if (turn >= 0 && round !== undefined) series[index]?.rounds.push(round);
    }
  }
  return series;
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

/**
 * How one list of rules becomes another: what is new, what is gone, and what stands elsewhere among
 * those that stay. Pure.
 *
 * @module
 */
import type { Rule } from "../model/policy.ts";
import { formatRule } from "./grammar.ts";

/** A rule and where it stands. */
export interface PlacedRule {
  /** Its index, from 0. */
  readonly at: number;
  /** As it would be written. */
  readonly rule: string;
}

/** A rule that others have passed: the first match wins, so that its place counts. */
export interface MovedRule {
  /** Its index before, from 0. */
  readonly from: number;
  /** Its index now. */
  readonly to: number;
  /** As it would be written. */
  readonly rule: string;
}

/** How one list of rules becomes another. */
export interface RuleDifference {
  /** With their places in the new list. */
  readonly added: readonly PlacedRule[];
  /** With their places in the old one. */
  readonly removed: readonly PlacedRule[];
  /** As few as can be, and none that only others were added or removed before. */
  readonly moved: readonly MovedRule[];
}

/** Takes n log n steps for n rules. */
export function ruleDifference(before: readonly Rule[], after: readonly Rule[]): RuleDifference {
  const places = new Map<string, number[]>();
  const old = before.map(formatRule);
  // From behind, so that each rule's first place is the last of its list.
  for (const [at, rule] of [...old.entries()].reverse()) {
    const list = places.get(rule);
    if (list === undefined) places.set(rule, [at]);
    else list.push(at);
  }
  const added: PlacedRule[] = [];
  const kept: MovedRule[] = [];
  for (const [to, rule] of after.map(formatRule).entries()) {
    const from = places.get(rule)?.pop();
    if (from === undefined) added.push({ at: to, rule });
    else kept.push({ from, to, rule });
  }
  const gone = new Set([...places.values()].flat());
  const removed = old.flatMap((rule, at) => gone.has(at) ? [{ at, rule }] : []);
  const still = longestRising(kept.map(({ from }) => from));
  return { added, removed, moved: kept.filter((_, index) => !still.has(index)) };
}

/** The indices of a longest rising subsequence: by patience sorting, each pile's top with what it lies on. */
function longestRising(values: readonly number[]): ReadonlySet<number> {
  const tops: number[] = [];
  const below: number[] = [];
  for (const [index, value] of values.entries()) {
    let [low, high] = [0, tops.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((values[tops[middle] ?? 0] ?? 0) < value) low = middle + 1;
      else high = middle;
    }
    below[index] = low === 0 ? -1 : tops[low - 1] ?? -1;
    tops[low] = index;
  }
  const rising = new Set<number>();
  for (let index = tops.at(-1) ?? -1; index >= 0; index = below[index] ?? -1) rising.add(index);
  return rising;
}

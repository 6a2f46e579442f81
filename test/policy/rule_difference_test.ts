import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { parseRule } from "../../lib/policy/text/grammar.ts";
import { ruleDifference } from "../../lib/policy/text/rule_difference.ts";

const rules = (letters: string) => [...letters].map((letter) => parseRule(`allow@${letter}.test`));
const letterOf = (rule: string) => /@(\w)/.exec(rule)?.[1] ?? "";

/** `+b1 -a0 c2>0`: what was added, removed and moved, by letters and places. */
function difference(before: string, after: string): string {
  const { added, removed, moved } = ruleDifference(rules(before), rules(after));
  return [
    ...added.map(({ at, rule }) => `+${letterOf(rule)}${at}`),
    ...removed.map(({ at, rule }) => `-${letterOf(rule)}${at}`),
    ...moved.map(({ from, to, rule }) => `${letterOf(rule)}${from}>${to}`),
  ].join(" ");
}

describe("the difference of two lists of rules", () => {
  test.each([
    ["", "", ""],
    ["abc", "abc", ""],
    ["abc", "xabc", "+x0"],
    ["abc", "bc", "-a0"],
    ["abc", "cab", "c2>0"],
    ["abc", "bca", "a0>2"],
    ["abcd", "dxab", "+x1 -c2 d3>0"],
    ["aab", "ab", "-a1"],
    ["ab", "aba", "+a2"],
  ])("of %j and %j is %j", (before, after, expected) => {
    expect(difference(before, after)).toBe(expected);
  });

  test("makes one of the other, and moves no more than there have to be", () => {
    const letters = fc.string({ unit: fc.constantFrom(..."abcdef"), maxLength: 12 });
    fc.assert(fc.property(letters, letters, (before, after) => {
      const { added, removed, moved } = ruleDifference(rules(before), rules(after));
      const gone = new Set([...removed.map(({ at }) => at), ...moved.map(({ from }) => from)]);
      const still = [...before].filter((_, at) => !gone.has(at));
      const placed = new Map([
        ...added.map(({ at, rule }) => [at, letterOf(rule)] as const),
        ...moved.map(({ to, rule }) => [to, letterOf(rule)] as const),
      ]);
      const made = Array.from(after, (_, at) => placed.get(at) ?? still.shift());
      expect(made.join("")).toBe(after);
      expect(still).toEqual([]);
    }));
  });

  test("of long lists that are turned round takes no square of their length", () => {
    const many = Array.from(
      { length: 20_000 },
      (_, n) => parseRule(`allow@10.0.0.0/8:tcp:${n + 1}`),
    );
    const { moved } = ruleDifference(many, many.toReversed());
    expect(moved).toHaveLength(many.length - 1);
  }, 20_000);
});

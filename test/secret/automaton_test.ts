import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { Automaton, NONE, START } from "../../lib/secret/automaton.ts";
import { growth } from "../support/growth.ts";
import { random } from "../support/random.ts";

/** Each place where a string ends, with the index of the longest one that does. */
function search(automaton: Automaton, text: string): [number, number][] {
  const found: [number, number][] = [];
  let state = START;
  for (const [at, byte] of Buffer.from(text, "latin1").entries()) {
    state = automaton.step(state, byte);
    const index = automaton.found(state);
    if (index !== NONE) found.push([at + 1, index]);
  }
  return found;
}

test("it finds what a comparison at every place finds", () => {
  const { below, pick } = random(11);
  const word = (most: number) =>
    Array.from({ length: 1 + below(most) }, () => pick(["a", "b", "c"])).join("");
  for (let round = 0; round < 500; round++) {
    const strings = [...new Set(Array.from({ length: 1 + below(6) }, () => word(6)))];
    const text = word(60);
    const automaton = new Automaton(strings.map((one) => Buffer.from(one)));
    const expected: [number, number][] = [];
    for (let end = 1; end <= text.length; end++) {
      const ending = strings.filter((one) => text.slice(0, end).endsWith(one));
      const longest = ending.reduce((a, b) => a.length < b.length ? b : a, "");
      if (longest !== "") expected.push([end, strings.indexOf(longest)]);
    }
    expect(search(automaton, text)).toEqual(expected);
  }
}, 60_000);

test("the depth of a state is how much of what was read can still become a string", () => {
  const automaton = new Automaton([Buffer.from("abcd"), Buffer.from("bce")]);
  const depths =
    [...Buffer.from("xabcexabcd")].reduce<[number, number[]]>(([state, seen], byte) => {
      const next = automaton.step(state, byte);
      return [next, [...seen, automaton.depth(next)]];
    }, [START, []])[1];
  expect(depths).toEqual([0, 1, 2, 3, 3, 0, 1, 2, 3, 4]);
});

test("it skips to where a string can begin", () => {
  const automaton = new Automaton([Buffer.from("x"), Buffer.from("yz")]);
  const bytes = Buffer.from("ayayzax");
  expect([0, 3, 4, 7].map((at) => automaton.skip(bytes, at))).toEqual([3, 3, 6, 7]);
  // The last byte may be a beginning, too.
  expect(automaton.skip(Buffer.from("ay"), 0)).toBe(1);
  expect(automaton.skip(Buffer.from("az"), 0)).toBe(2);
  expect(new Automaton([]).skip(bytes, 0)).toBe(bytes.length);
});

test("where all strings begin alike it skips to that, or to where it may be cut off", () => {
  const automaton = new Automaton([Buffer.from("key-one"), Buffer.from("key-two")]);
  const bytes = Buffer.from("key kkey-o key-");
  expect([0, 5, 6, 12].map((at) => automaton.skip(bytes, at))).toEqual([5, 5, 11, 15]);
  expect(automaton.skip(Buffer.from("a key"), 0)).toBe(2);
  expect(automaton.skip(Buffer.from("k"), 0)).toBe(0);
});

test("without strings it finds nothing, and an empty string is none", () => {
  expect(search(new Automaton([]), "abc")).toEqual([]);
  expect(() => new Automaton([Buffer.alloc(0)])).toThrow(TypeError);
});

test.each([
  ["a", "a", "b"],
  ["ab", "ab", "aa"],
  ["aab", "a", "ab"],
])("its work is linear where every byte falls back: %s", (run, unit, end) => {
  const strings = [1, 10, 1_000, 5_000].map((n) => Buffer.from(unit.repeat(n) + end));
  const automaton = new Automaton(strings);
  const { ratio } = growth((size) => search(automaton, run.repeat(size)), {
    most: 1 << 16,
    limit: 18,
  });
  expect(ratio).toBeLessThan(18);
}, 60_000);

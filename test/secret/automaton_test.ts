import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { Automaton, NONE, START } from "../../lib/secret/automaton.ts";
import { MOST_CLASSES, Windows } from "../../lib/secret/windows.ts";
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

test("what it passes over changes neither what is found nor where the search stands", () => {
  const { below, pick } = random(12);
  const word = (most: number) =>
    Array.from({ length: 1 + below(most) }, () => pick(["a", "b", "A", "!", "\xe1", "x"])).join("");
  let passed = 0;
  for (let round = 0; round < 3_000; round++) {
    const strings = Array.from({ length: 1 + below(4) }, () => word(pick([2, 5, 30])));
    const automaton = new Automaton(strings.map((one) => Buffer.from(one, "latin1")));
    let text = "";
    while (text.length < 100) text += pick([word(20), pick(strings), pick(strings).slice(0, -1)]);
    const bytes = Buffer.from(text, "latin1");
    const found: [number, number][] = [];
    let state = START;
    for (let at = 0; at < bytes.length;) {
      if (state === START) {
        const next = automaton.skip(bytes, at);
        passed += next - at;
        at = next;
        if (at === bytes.length) break;
      }
      state = automaton.step(state, bytes[at++] ?? 0);
      const index = automaton.found(state);
      if (index !== NONE) found.push([at, index]);
    }
    expect(found).toEqual(search(automaton, text));
    expect(state).toBe(bytes.reduce((from, byte) => automaton.step(from, byte), START));
  }
  expect(passed).toBeGreaterThan(10_000);
});

test("windows of more classes than they tell apart are refused", () => {
  expect(() => new Windows(Uint8Array.of(MOST_CLASSES), 8)).toThrow(RangeError);
  expect(new Windows(Uint8Array.of(MOST_CLASSES - 1), 8).size).toBe(8);
});

test("without strings everything is passed over", () => {
  expect(new Automaton([]).skip(Buffer.from("abcdef"), 1)).toBe(6);
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

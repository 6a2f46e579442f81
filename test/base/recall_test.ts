import { expect, test } from "bun:test";
import { recalling, recallingLast, repeating } from "../../lib/base/recall.ts";

function counted() {
  let asked = 0;
  const answer = recalling((word) => {
    asked++;
    return word.length > 3;
  });
  return { answer, asked: () => asked };
}

test("an answer is worked out once, a no as well", () => {
  const { answer, asked } = counted();
  expect([answer("long"), answer("no"), answer("long"), answer("no")]).toEqual([
    true,
    false,
    true,
    false,
  ]);
  expect(asked()).toBe(2);
});

test("whoever makes up words does not fill the memory, and gets true answers", () => {
  const { answer, asked } = counted();
  for (let at = 0; at < 1_000; at++) expect(answer(`word ${at}`)).toBe(true);
  const before = asked();
  expect(answer("word 0")).toBe(true);
  expect(asked()).toBe(before);
  expect(answer("word 999")).toBe(true);
  expect(asked()).toBe(before + 1);
});

test("a long word is not kept", () => {
  const { answer, asked } = counted();
  const long = "x".repeat(101);
  expect([answer(long), answer(long), asked()]).toEqual([true, true, 2]);
});

test("the last answer holds for the very same, and for nothing else", () => {
  let asked = 0;
  const answer = recallingLast((one: object, other: number) => [asked++, one, other]);
  const [a, b] = [{}, {}];
  expect(answer(a, 1)).toBe(answer(a, 1));
  expect(asked).toBe(1);
  for (const [one, other] of [[a, 2], [b, 2], [b, 1], [a, 1]] as const) {
    expect(answer(one, other).slice(1)).toEqual([one, other]);
  }
  expect(asked).toBe(5);
});

test("a list that says what the last one said is that one", () => {
  const same = repeating<{ readonly said: number }>((one, other) => one.said === other.said);
  const [first, again] = [[{ said: 1 }, { said: 2 }], [{ said: 1 }, { said: 2 }]];
  expect(same(first)).toBe(first);
  expect(same(again)).toBe(first);
  const longer = [...first, { said: 3 }];
  expect(same(longer)).toBe(longer);
  expect(same(first)).toBe(first);
  const other = [{ said: 1 }, { said: 3 }];
  expect(same(other)).toBe(other);
});

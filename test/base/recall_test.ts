import { expect, test } from "bun:test";
import { recalling } from "../../lib/base/recall.ts";

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

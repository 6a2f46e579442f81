import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { Unescaper } from "../../lib/secret/unescape.ts";
import { random } from "../support/random.ts";
import { unescaped } from "./unescaped.ts";

/** What it gives for a text, which must not end inside an escape. */
function unescape(text: string): string {
  const unescaper = new Unescaper();
  const given: number[] = [];
  for (const byte of Buffer.from(text, "latin1")) {
    given.push(...unescaper.out.subarray(0, unescaper.push(byte)));
  }
  expect(unescaper.idle).toBe(true);
  return Buffer.from(given).toString("latin1");
}

test.each([
  ["a b", "a b"],
  ["%61%4A%4a", "aJJ"],
  ["%2561", "%61"],
  ["%%61", "%a"],
  ["%6%61", "%6a"],
  ["%6g", "%6g"],
  ["%e4", "\xff"],
  ["\\u0061\\u00E4\\u2028", "a\xff\xff"],
  ["\\\\u0061", "\\u0061"],
  ["\\u00\\u0061", "\\u00a"],
  ['\\x61\\/\\"\\q', 'a/"q'],
  ["a\\r\\n\\tb", "a\n\n\nb"],
  ["&#97;&#x61;&#X61;&#0097;", "aaaa"],
  ["&#97&#98!", "ab!"],
  ["&#97%62", "ab"],
  ["&amp;&#;&#x;&#xg", "&amp;&#;&#x;&#xg"],
  ["&#00000000097;", "&#00000000097;"],
  ["&&#&#9a", "&&#\ta"],
])("%p is %p", (text, expected) => {
  expect(unescape(text)).toBe(expected);
});

test("it reads random texts as a pattern does", () => {
  const { below, pick } = random(4);
  const parts = ["%", "%4", "61", "\\", "u", "x", "00", "&", "#", "6", "1", ";", "g", "&#", "z"];
  for (let round = 0; round < 20_000; round++) {
    const text = Array.from({ length: below(8) }, () => pick(parts)).join("") + "!!!!!!";
    expect([text, unescape(text)]).toEqual([text, unescaped(text)]);
  }
}, 60_000);

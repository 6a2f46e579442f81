/**
 * What `sbx logs` makes of pieces: the last lines, and when each was printed.
 */
import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { LogStamps } from "../../lib/cli/sandbox/log_stamps.ts";
import { cutTo, tailOf } from "../../lib/cli/sandbox/log_tail.ts";
import type { LogPiece } from "../../lib/mod.ts";

const AT = Date.parse("2026-11-30T08:00:00.000Z");

/** Pieces of standard output, one a second; those that begin with "!" of standard error. */
function pieces(...texts: readonly string[]): LogPiece[] {
  let offset = 0;
  return texts.map((text, index) => {
    const bytes = Buffer.from(text.replace(/^!/, ""));
    const piece: LogPiece = {
      stream: text.startsWith("!") ? 2 : 1,
      atMs: AT + index * 1_000,
      offset,
      bytes,
    };
    offset += bytes.length;
    return piece;
  });
}

test.each<[number, string]>([
  [0, ""],
  [1, "five"],
  [2, "four\nfive"],
  [3, "three\nfour\nfive"],
  [9, "one\ntwo\nthree\nfour\nfive"],
])("the last %d lines, however they were cut", (lines, wanted) => {
  const held: LogPiece[] = [];
  for (const piece of pieces("one\ntw", "o\nthr", "ee\n", "four\nfi", "ve")) {
    tailOf(held, piece, lines);
  }
  cutTo(held, lines);
  expect(held.map(({ bytes }) => bytes.toString()).join("")).toBe(wanted);
});

test("a line has the time at which it began, in each stream by itself", () => {
  const stamps = new LogStamps();
  const shown = pieces("one\ntw", "!err", "o\n\nthree\n", "!or\n")
    .map((piece) => Buffer.from(stamps.stamped(piece)).toString());
  expect(shown).toEqual([
    "2026-11-30T08:00:00.000Z one\n2026-11-30T08:00:00.000Z tw",
    "2026-11-30T08:00:01.000Z err",
    "o\n2026-11-30T08:00:02.000Z \n2026-11-30T08:00:02.000Z three\n",
    "or\n",
  ]);
});

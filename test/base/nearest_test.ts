import { expect, test } from "bun:test";
import { nearest } from "../../lib/base/nearest.ts";

const WORDS = ["allow", "deny", "private", "loopback", "link-local"];

test("nearest() finds the word behind a slip of the finger", () => {
  const rows: [string, string | null][] = [
    ["alow", "allow"],
    ["allwo", "allow"],
    ["ALLOW", "allow"],
    ["privat", "private"],
    ["linklocal", "link-local"],
    ["denny", "deny"],
    ["permit", null],
    ["", null],
    ["x", null],
    ["a".repeat(100), null],
  ];
  for (const [typed, word] of rows) expect([typed, nearest(typed, WORDS)]).toEqual([typed, word]);
});

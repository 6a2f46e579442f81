import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { EscapeKey } from "../../lib/cli/escape_key.ts";

const TILDE = 0x7e;

/** What the command gets, with ! for an end and ? for help where they are asked for. */
function sorted(key: number | null, ...chunks: readonly string[]): string {
  const escape = new EscapeKey(key);
  return chunks.map((chunk) => {
    const { keys, asked } = escape.sort(Buffer.from(chunk, "latin1"));
    return Buffer.from(keys).toString("latin1") +
      asked.map((wish) => wish === "end" ? "!" : "?").join("");
  }).join("");
}

test.each([
  ["~.", "!"],
  ["ls\r~.", "ls\r!"],
  ["ls\n~.", "ls\n!"],
  ["ls~.", "ls~."],
  ["~~.", "~."],
  ["~?~.", "?!"],
  ["~x~.", "~x~."],
  ["~\r~.", "~\r!"],
  ["~é", "~é"],
  ["~.~.ls\r~.", "!"],
  ["\x1b[A~.", "\x1b[A~."],
  ["~\x1b[A.", "~\x1b[A."],
  ["~\x1b", "~\x1b"],
  // Answers of the terminal: where its cursor is, what it is, what its title is.
  ["\x1b[1;1R~\x1b[?62;c\x1b[0n.", "\x1b[1;1R\x1b[?62;c\x1b[0n!"],
  ["~\x1b]l\r~.\x07.", "\x1b]l\r~.\x07!"],
  ["~\x1bP1$r~.\x1b\\.", "\x1bP1$r~.\x1b\\!"],
])("%j", (typed, expected) => {
  expect(sorted(TILDE, typed)).toBe(expected);
  expect(sorted(null, typed)).toBe(typed);
  // Typed key by key, as all but answers may come. After an end there is nobody to type for.
  if (!typed.includes("\x1b")) {
    expect(sorted(TILDE, ...typed).split("!")[0]).toBe(expected.split("!")[0] ?? "");
  }
});

test("an answer without an end is keys, and costs no more than its length", () => {
  const endless = `~${"\x1b]".repeat(100_000)}.`;
  expect(sorted(TILDE, endless)).toBe(endless);
});

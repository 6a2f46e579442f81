import { expect, test } from "bun:test";
import { escapeText, MAX_SHOWN } from "../../lib/base/escape.ts";

test.each([
  ["an escape sequence", "a\x1b[2J", "a\\u{1b}[2J"],
  ["a forged line", 'a\r\n{"event":"end"}', 'a\\u{d}\\u{a}{"event":"end"}'],
  ["a C1 control, which some terminals obey", "\x9b2J", "\\u{9b}2J"],
  ["an override of the direction", "\u202egnp.exe", "\\u{202e}gnp.exe"],
  ["characters without width", "a\u200b\u{2060}\ufeffb", "a\\u{200b}\\u{2060}\\u{feff}b"],
  ["tags, which are invisible ASCII", "\u{e0061}", "\\u{e0061}"],
  ["a line separator", "\u2028", "\\u{2028}"],
  ["half a character", "\ud83d", "\\u{d83d}"],
  ["letters of all kinds", "日本 ü 😀", "日本 ü 😀"],
])("%s is shown as what it is", (_, text, shown) => {
  expect(escapeText(text)).toBe(shown);
});

test("megabytes are cut where that shows, also inside a character", () => {
  expect(escapeText("x".repeat(1 << 20))).toBe(`${"x".repeat(MAX_SHOWN)}…`);
  expect(escapeText("x".repeat(MAX_SHOWN - 1) + "😀")).toEndWith("x\\u{d83d}…");
});

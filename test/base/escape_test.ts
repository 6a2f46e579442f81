import { expect, test } from "bun:test";
import {
  escapeJson,
  escapeMessage,
  escapeText,
  isShowable,
  MAX_MESSAGE,
  MAX_SHOWN,
  quote,
} from "../../lib/base/escape.ts";

test.each([
  ["an escape sequence", "a\x1b[2J", "a\\u{1b}[2J"],
  ["a forged line", 'a\r\n{"event":"end"}', 'a\\u{d}\\u{a}{"event":"end"}'],
  ["a C1 control, which some terminals obey", "\x9b2J", "\\u{9b}2J"],
  ["an override of the direction", "\u202egnp.exe", "\\u{202e}gnp.exe"],
  ["characters without width", "a\u200b\u{2060}\ufeffb", "a\\u{200b}\\u{2060}\\u{feff}b"],
  ["tags, which are invisible ASCII", "\u{e0061}", "\\u{e0061}"],
  ["a mark of Arabic letters", "a\u061cb", "a\\u{61c}b"],
  ["fillers, which are letters without ink", "\u115f\u3164\uffa0", "\\u{115f}\\u{3164}\\u{ffa0}"],
  ["a joiner of graphemes", "a\u034fb", "a\\u{34f}b"],
  ["variation selectors", "a\ufe0f\u{e0100}", "a\\u{fe0f}\\u{e0100}"],
  ["a soft hyphen", "pay\u00adpal", "pay\\u{ad}pal"],
  [
    "blanks that are no spaces",
    "a\u00a0\u2003\u3000\u2800b",
    "a\\u{a0}\\u{2003}\\u{3000}\\u{2800}b",
  ],
  ["what is for private use, or for nothing", "\ue000\uffff", "\\u{e000}\\u{ffff}"],
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

test("a quotation ends where its text does", () => {
  expect(quote('a" b\\"')).toBe('"a\\" b\\\\\\""');
  expect(quote("\u{1b}[2J\u202e")).toBe('"\\u{1b}[2J\\u{202e}"');
  expect(quote("x".repeat(1 << 20))).toBe(`"${"x".repeat(80)}…"`);
});

test("what was escaped stays as it is, and messages end", () => {
  const message = `Cannot read ${quote("\x07")}: ${escapeText("\u{e0061}")}`;
  expect(escapeMessage(message)).toBe(message);
  expect(escapeMessage("\x07".repeat(1 << 20)).length).toBeLessThanOrEqual(MAX_MESSAGE + 1);
});

test("JSON keeps its meaning", () => {
  const value = { "k\u202e": ["\x9b", "\u{e0061}", "\ud83d", "ü 😀", "a\nb"] };
  for (const json of [JSON.stringify(value), JSON.stringify(value, null, 2)]) {
    const escaped = escapeJson(json);
    expect(JSON.parse(escaped)).toEqual(value);
    expect(isShowable(escaped)).toBe(true);
  }
});

test("each of a list is shown in full", () => {
  expect(["one", "two"].map(escapeText)).toEqual(["one", "two"]);
});

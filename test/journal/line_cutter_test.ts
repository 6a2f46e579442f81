import { expect, test } from "bun:test";
import fc from "fast-check";
import { LineCutter } from "../../lib/journal/line_cutter.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function cut(pieces: readonly Uint8Array[], max?: number): (string | null)[] {
  const cutter = new LineCutter(max);
  return [...pieces.flatMap((piece) => [...cutter.push(piece)]), ...cutter.end()];
}

test("the same bytes are the same lines however they arrive", () => {
  const text = fc.array(fc.constantFrom("a", "ü", "\n", "\r", "{}", "🙂"), { maxLength: 40 });
  fc.assert(fc.property(text, fc.array(fc.nat(200), { maxLength: 8 }), (parts, cuts) => {
    const whole = bytes(parts.join(""));
    const borders = [0, ...cuts.map((at) => at % (whole.length + 1)).sort((a, b) => a - b)];
    const pieces = borders.map((from, i) => whole.slice(from, borders[i + 1] ?? whole.length));
    const expected = parts.join("").split("\n");
    if (expected.at(-1) === "") expected.pop();
    expect(cut(pieces)).toEqual(expected);
  }));
});

test("the reader may fill its buffer again", () => {
  const buffer = bytes("ab");
  const cutter = new LineCutter();
  expect([...cutter.push(buffer)]).toEqual([]);
  buffer.fill(0x7a);
  expect([...cutter.push(bytes("c\n"))]).toEqual(["abc"]);
});

test("an overlong line is told as one, and the next is whole again", () => {
  expect(cut([bytes("12345\n123456\n1\n")], 5)).toEqual(["12345", null, "1"]);
  expect(cut([bytes("123"), bytes("456"), bytes("7\nab")], 5)).toEqual([null, "ab"]);
});

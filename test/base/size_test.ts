import { expect, test } from "bun:test";
import { formatSize, GIB, MIB, parseSize, TIB } from "../../lib/base/size.ts";

test("a size has a unit, of which 1024 make the next one", () => {
  const sizes: Readonly<Record<string, number>> = {
    "512M": 512 * MIB,
    "20G": 20 * GIB,
    "20g": 20 * GIB,
    "1.5GiB": 1536 * MIB,
    "2TB": 2 * TIB,
    "0M": 0,
  };
  for (const [text, bytes] of Object.entries(sizes)) expect(parseSize(text)).toBe(bytes);
  for (const text of ["", "G", "-1G", "1e3G", "1 G", "1X", "1GG", "20", ".5G", "0x10M", "1G\n"]) {
    expect(parseSize(text)).toBeNull();
  }
});

test("a number alone counts what its place says", () => {
  expect(parseSize("20", MIB)).toBe(20 * MIB);
  expect(parseSize("20G", MIB)).toBe(20 * GIB);
});

test("a size is written in the largest unit without a fraction, and read as the same", () => {
  const written = [[512 * MIB, "512M"], [20 * GIB, "20G"], [1536 * MIB, "1536M"], [4 * TIB, "4T"]];
  for (const [bytes, text] of written) {
    expect(formatSize(Number(bytes))).toBe(String(text));
    expect(parseSize(String(text))).toBe(Number(bytes));
  }
  expect(formatSize(1000)).toBe("1000");
});

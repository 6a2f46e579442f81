import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { decodeOsString, encodeOsString } from "../../lib/base/os_string.ts";

test("text is text, and what is no UTF-8 becomes lone surrogates", () => {
  for (
    const [bytes, text] of [
      [[], ""],
      [[0x61, 0xc3, 0xbc, 0xf0, 0x9f, 0x98, 0x80], "aü😀"],
      [[0xef, 0xbb, 0xbf, 0x61], "\ufeffa"],
      [[0xef, 0xbf, 0xbd], "\ufffd"],
      [[0x61, 0xff, 0x62], "a\udcffb"],
      [[0xc3], "\udcc3"],
      [[0xc0, 0x80], "\udcc0\udc80"],
      [[0xed, 0xb2, 0x80], "\udced\udcb2\udc80"],
      [[0xf4, 0x90, 0x80, 0x80], "\udcf4\udc90\udc80\udc80"],
      [[0xe2, 0x82, 0xe2, 0x82, 0xac], "\udce2\udc82€"],
    ] as const
  ) {
    expect(decodeOsString(Uint8Array.from(bytes))).toBe(text);
    expect([...encodeOsString(text)]).toEqual([...bytes]);
  }
  expect([...encodeOsString("\ud800a")]).toEqual([0xef, 0xbf, 0xbd, 0x61]);
});

test("any bytes come back", () => {
  for (let turn = 0; turn < 2000; turn++) {
    const bytes = new Uint8Array(randomBytes(turn % 64));
    // Mostly such as begin and continue characters.
    for (let at = 0; at < bytes.length; at += 2) bytes[at] = 0x80 | (bytes[at] ?? 0);
    expect([...encodeOsString(decodeOsString(bytes))]).toEqual([...bytes]);
  }
});

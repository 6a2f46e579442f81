import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import {
  canonicalName,
  canonicalSuffix,
  nameFromWire,
  nameHasSuffix,
} from "../../lib/base/name.ts";

const LABEL_63 = "a".repeat(63);
const NAME_253 = `${LABEL_63}.${LABEL_63}.${LABEL_63}.${"b".repeat(61)}`;

describe("canonicalName()", () => {
  test.each([
    ["example.com", "example.com"],
    ["API.Example.COM.", "api.example.com"],
    ["localhost", "localhost"],
    ["_dmarc.example.com", "_dmarc.example.com"],
    ["-odd-.example.com", "-odd-.example.com"],
    ["bücher.example", "xn--bcher-kva.example"],
    ["BÜCHER.example。", "xn--bcher-kva.example"],
    ["faß.de", "xn--fa-hia.de"],
    [NAME_253, NAME_253],
    [`${NAME_253}.`, NAME_253],
    ["1.2.3.4.in-addr.arpa", "1.2.3.4.in-addr.arpa"],
    ["0xyz.example.0xg", "0xyz.example.0xg"],
  ])("%s is %s", (input: string, canonical: string) => {
    expect(canonicalName(input)).toBe(canonical);
  });

  test.each([
    "",
    ".",
    "..",
    "a..b",
    ".example.com",
    "example.com..",
    "*.example.com",
    "api.*.example.com",
    "https://api.example.com",
    "example.com/path",
    "bücher.example/path",
    "bücher.example:80",
    "ü..example",
    "\u212aelvin.example",
    "bü\u00adcher.example",
    "ｅxample.com",
    "user@example.com",
    "ex ample.com",
    "a.com\0.evil.org",
    "a\n.com",
    "1.2.3.4",
    "1.2.3.4.",
    "127.1",
    "0x7f.1",
    "2130706433",
    "example.0x",
    "１２７.0.0.1",
    "::1",
    "[::1]",
    `${LABEL_63}a.com`,
    `${NAME_253}b`,
  ])("refuses %p", (input: string) => {
    expect(canonicalName(input)).toBeNull();
  });

  test("is a fixed point on its own results", () => {
    const pieces = fc.constantFrom(
      "a",
      "Z",
      "9",
      "-",
      "_",
      ".",
      "xn--",
      "ü",
      "ß",
      "K",
      "。",
      "*",
      " ",
    );
    const name = fc.oneof(
      fc.domain(),
      fc.string({ unit: "grapheme" }),
      fc.array(pieces).map((parts) => parts.join("")),
    );
    fc.assert(fc.property(name, (input: string) => {
      const canonical = canonicalName(input);
      if (canonical === null) return;
      expect(canonicalName(canonical)).toBe(canonical);
      expect(nameFromWire(canonical)).toBe(canonical);
      expect(canonicalName(canonical.toUpperCase())).toBe(canonical);
    }));
  });
});

describe("nameFromWire()", () => {
  test("never folds bytes beyond ASCII into a name", () => {
    expect(nameFromWire("\u212aelvin.example")).toBeNull();
    expect(nameFromWire("ex\u00adample.com")).toBeNull();
    expect(nameFromWire("bücher.example")).toBeNull();
    expect(nameFromWire("XN--BCHER-KVA.example.")).toBe("xn--bcher-kva.example");
  });
});

describe("canonicalSuffix()", () => {
  test.each(["example.com", ".example.com", "*.example.com", ".Example.COM."])(
    "%s",
    (input: string) => {
      expect(canonicalSuffix(input)).toBe("example.com");
    },
  );

  test.each([
    "",
    ".",
    "*.",
    "*",
    "com",
    ".com",
    "*.com",
    "..example.com",
    "*.*.example.com",
    "10.1",
  ])(
    "refuses %p",
    (input: string) => {
      expect(canonicalSuffix(input)).toBeNull();
    },
  );
});

describe("nameHasSuffix()", () => {
  test.each([
    ["example.com", true],
    ["a.example.com", true],
    ["a.b.example.com", true],
    ["evilexample.com", false],
    ["example.com.evil.org", false],
    ["com", false],
  ])("%s under example.com: %p", (name: string, under: boolean) => {
    expect(nameHasSuffix(name, "example.com")).toBe(under);
  });

  test("matches exactly when the labels of the suffix end the labels of the name", () => {
    const label = fc.constantFrom("a", "b", "ab", "ba");
    const name = fc.array(label, { minLength: 1, maxLength: 4 });
    fc.assert(fc.property(name, name, (labels, suffix) => {
      const tail = labels.slice(-suffix.length).join(".");
      const expected = labels.length >= suffix.length && tail === suffix.join(".");
      expect(nameHasSuffix(labels.join("."), suffix.join("."))).toBe(expected);
    }));
  });
});

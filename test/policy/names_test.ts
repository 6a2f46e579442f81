import { isIP } from "node:net";
import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { SbxError } from "../../lib/base/errors.ts";
import { canonicalName, canonicalSuffix, nameHasSuffix } from "../../lib/base/name.ts";
import { readNameList } from "../../lib/policy/model/name_list.ts";
import { NameSet } from "../../lib/policy/model/name_set.ts";

describe("NameSet", () => {
  test("holds exact names, and suffixes with everything below them", () => {
    const set = new NameSet();
    set.addName("ads.example.com");
    set.addSuffix("tracker.test");
    expect(set.match("ads.example.com")).toBe("ads.example.com");
    expect(set.match("x.ads.example.com")).toBeNull();
    expect(set.match("tracker.test")).toBe(".tracker.test");
    expect(set.match("a.b.tracker.test")).toBe(".tracker.test");
    expect(set.match("nottracker.test")).toBeNull();
    expect(set.match("tracker.test.evil.org")).toBeNull();
    expect(set.size).toBe(2);
  });

  test("never matches across a label", () => {
    const label = fc.constantFrom("a", "b", "ab", "ba", "aa");
    const name = fc.array(label, { minLength: 2, maxLength: 5 }).map((labels) => labels.join("."));
    fc.assert(fc.property(fc.array(name), name, (suffixes, asked) => {
      const set = new NameSet();
      for (const suffix of suffixes) set.addSuffix(suffix);
      expect(set.has(asked)).toBe(suffixes.some((suffix) => nameHasSuffix(asked, suffix)));
    }));
  });
});

describe("readNameList()", () => {
  const read = (text: string, as: "name" | "suffix" = "name") => {
    const set = new NameSet();
    readNameList(text, "ads.txt", as, set);
    return set;
  };

  test("reads one name a line, with comments and suffixes", () => {
    const set = read(
      "\ufeff# list\r\nAds.Example.com.\r\n\n! title\n.trk.test # why\n*.w.test\nbücher.de",
    );
    expect(set.size).toBe(4);
    for (const name of ["ads.example.com", "trk.test", "x.trk.test", "y.w.test"]) {
      expect([name, set.has(name)]).toEqual([name, true]);
    }
    expect(set.has("x.ads.example.com")).toBe(false);
    expect(set.has("xn--bcher-kva.de")).toBe(true);
  });

  test("reads hosts files without what they say about their own machine", () => {
    const set = read(`127.0.0.1 localhost
      ::1 ip6-localhost ip6-loopback
      fe80::1%lo0 localhost
      0.0.0.0 0.0.0.0
      0.0.0.0 ads.example.com www.ads.example.com # both
      0.0.0.0\ttabbed.example.com`);
    expect(set.size).toBe(3);
    expect(set.has("www.ads.example.com")).toBe(true);
    expect(set.has("localhost")).toBe(false);
  });

  test("takes everything below each name of a list of suffixes", () => {
    const set = read("ads.example\n0.0.0.0 trk.example", "suffix");
    expect(set.has("x.ads.example")).toBe(true);
    expect(set.has("x.trk.example")).toBe(true);
  });

  test("refuses a line that it cannot read, and says which", () => {
    const rows: [string, "name" | "suffix"][] = [
      ["ok.test\n\nhttps://x.test/", "name"],
      ["ok.test\n\ntwo names", "name"],
      ["ok.test\n\n1.2.3.4", "name"],
      ["ok.test\n\ncom", "suffix"],
      ["ok.test\n\n.", "name"],
    ];
    for (const [text, as] of rows) {
      expect(() => read(text, as)).toThrow(/^Cannot read name list ads\.txt:3: /);
      expect(() => read(text, as)).toThrow(SbxError);
    }
  });

  test("reads a plain line as it reads any other", () => {
    const label = fc.constantFrom(
      "a",
      "A",
      "ads",
      "0",
      "7",
      "0x1",
      "-",
      "_x",
      "",
      "b".repeat(63),
      "ü",
      "b".repeat(64),
    );
    const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join("."));
    const before = fc.constantFrom("", "0.0.0.0 ", "127.0.0.1 ", "0.0.0.0\t", "  ");
    const after = fc.constantFrom("", "\r", " # why", ".");
    fc.assert(
      fc.property(
        name,
        before,
        after,
        fc.constantFrom("name", "suffix"),
        (name, before, after, as) => {
          const spelled = `${name}${after === "." ? "." : ""}`;
          const canonical = as === "suffix" || spelled.startsWith(".")
            ? canonicalSuffix(spelled)
            : canonicalName(spelled);
          const isHosts = /\d/.test(before);
          // Addresses and own names in a hosts file are passed over; nothing at all is no line.
          if (spelled === "" || isHosts && isIP(spelled) !== 0) return;
          let size = -1;
          try {
            size = read(`${before}${name}${after}`, as).size;
          } catch (error) {
            expect(error).toBeInstanceOf(SbxError);
          }
          expect([spelled, size]).toEqual([spelled, canonical === null ? -1 : 1]);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  test("lets only SbxError escape", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
      try {
        read(text);
      } catch (error) {
        expect(error).toBeInstanceOf(SbxError);
      }
    }));
  });
});

import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { type Replacement, Replacements, type ReplacingStream } from "../../lib/secret/replace.ts";
import { growth, SUBQUADRATIC } from "../support/growth.ts";
import { cut, random } from "../support/random.ts";

const replacements = (pairs: Readonly<Record<string, string | null>>) =>
  new Replacements<Replacement>(
    Object.entries(pairs).map(([from, to]) => ({
      from: Buffer.from(from, "latin1"),
      to: to === null ? null : Buffer.from(to, "latin1"),
    })),
  );

/** What a stream gives for each piece, and at its end. */
function through(
  of: Replacements<{ from: Uint8Array; to: Uint8Array | null }>,
  ...pieces: string[]
) {
  const stream = of.stream();
  const given = pieces.map((piece) => stream.push(Buffer.from(piece, "latin1")).toString("latin1"));
  return [...given, stream.end().toString("latin1")];
}

test("what is replaced is not read again, nor is what it stands between", () => {
  expect(replacements({ ab: "aab", aa: "x" }).text("abab a ab")).toBe("aabaab a aab");
  expect(replacements({ ab: "" }).text("aabb")).toBe("ab");
  expect(replacements({ a: "$&$1" }).text("aba")).toBe("$&$1b$&$1");
});

test("the leftmost is replaced, and of those the longest", () => {
  expect(replacements({ bc: "2", abcd: "1", ab: "3" }).text("abcd abce abx bc")).toBe("1 3ce 3x 2");
  expect(replacements({ bc: "2", abcd: "1" }).text("abce abcd")).toBe("a2e 1");
});

test("one that stays is told of and takes its place", () => {
  const found: number[] = [];
  const of = replacements({ abc: null, bc: "x" });
  expect(of.text("abcbc", ({ from }) => found.push(from.length))).toBe("abcx");
  expect(found).toEqual([3, 2]);
});

describe("held back is only what may be a beginning", () => {
  const of = replacements({ secret: "***", secretary: "+++" });

  test.each<[string[], string[]]>([
    [["data: x\n", "data: y\n"], ["data: x\n", "data: y\n", ""]],
    [["a se", "a"], ["a ", "sea", ""]],
    [["a se", "crets"], ["a ", "***", "s"]],
    [["a secret", "\n"], ["a ", "***\n", ""]],
    [["a secret"], ["a ", "***"]],
    [["a secreta", "ry", " b"], ["a ", "+++", " b", ""]],
    [["a secretar", " sec"], ["a ", "***ar ", "sec"]],
    [["s", "e", "c"], ["", "", "", "sec"]],
    [[], [""]],
  ])("%j gives %j", (pieces, given) => {
    expect(through(of, ...pieces)).toEqual(given);
  });
});

describe("a beginning that is let go because nothing more comes", () => {
  const of = replacements({ "secret-value": "PLACEHOLDER!", "secret-value-two": "" });
  const letGo = (stream: ReplacingStream<Replacement>) => stream.letGo().toString();
  const push = (stream: ReplacingStream<Replacement>, text: string) =>
    stream.push(Buffer.from(text)).toString();

  test("goes on, and what was none is none", () => {
    const stream = of.stream();
    expect([push(stream, "a sec"), stream.holds, letGo(stream), stream.holds, letGo(stream)])
      .toEqual(["a ", true, "sec", false, ""]);
    expect([push(stream, "ond "), push(stream, "secret-value")]).toEqual(["ond ", ""]);
  });

  test("has the rest of its string replaced, so that nobody has the whole", () => {
    const stream = of.stream();
    expect([push(stream, "a sec"), letGo(stream), push(stream, "re"), letGo(stream)])
      .toEqual(["a ", "sec", "", "re"]);
    expect([push(stream, "t-value\n"), stream.end().toString()]).toEqual(["HOLDER!\n", ""]);
  });

  test("is never more than half of a string", () => {
    const stream = of.stream();
    expect([push(stream, "secret-"), letGo(stream), stream.holds]).toEqual(["", "", true]);
    expect(stream.end().toString()).toBe("secret-");
  });

  test("that is a whole string already counts as that", () => {
    const stream = of.stream();
    expect([push(stream, "secret-value"), letGo(stream), push(stream, "-two")])
      .toEqual(["", "PLACEHOLDER!", "-two"]);
    expect([push(stream, " secret-value-t"), letGo(stream), push(stream, "wo secret-value.")])
      .toEqual([" ", "PLACEHOLDER!-t", "wo PLACEHOLDER!."]);
  });

  test("makes its string one that stays, where that is asked for", () => {
    const found: number[] = [];
    const stream = of.stream(({ from }) => found.push(from.length), "left");
    expect([push(stream, "a sec"), letGo(stream), push(stream, "ret-value secret-value.")])
      .toEqual(["a ", "sec", "ret-value PLACEHOLDER!."]);
    expect(found).toEqual([12]);
  });

  test("of random texts changes nothing but that", () => {
    const numbers = random(77);
    const { below, pick } = numbers;
    const fitted = replacements({ abcabcab: "--------", bcab: "++++" });
    for (let round = 0; round < 3_000; round++) {
      const text = Array.from({ length: below(60) }, () => pick(["a", "b", "c", "abcab"])).join("");
      const [cutOff, left] = [fitted.stream(), fitted.stream(() => {}, "left")];
      let [gone, kept] = ["", ""];
      for (const piece of cut(Buffer.from(text), numbers)) {
        gone += cutOff.push(piece).toString();
        kept += left.push(piece).toString();
        if (below(2) === 0) gone += letGo(cutOff);
        if (below(2) === 0) kept += letGo(left);
      }
      gone += cutOff.end().toString();
      kept += left.end().toString();
      for (const given of [gone, kept]) {
        expect(given.length).toBe(text.length);
        for (const [at, one] of [...given].entries()) {
          if (/[abc]/.test(one)) expect(one).toBe(text[at] ?? "");
        }
      }
      expect(gone).not.toContain("abcabcab");
      expect(gone).not.toContain("bcab");
    }
  });
});

test("bytes that are changed after they were pushed change nothing", () => {
  const stream = replacements({ secret: "***" }).stream();
  const piece = Buffer.from("sec");
  stream.push(piece);
  piece.fill(0x78);
  expect(stream.push(Buffer.from("ret")).toString() + stream.end().toString()).toBe("***");
});

test("whether lengths change is known before", () => {
  expect(replacements({ ab: "cd", x: null }).keepsLength).toBe(true);
  expect(replacements({ ab: "cde" }).keepsLength).toBe(false);
  expect(replacements({}).keepsLength).toBe(true);
});

test("however a stream is cut, it is what a comparison at every place gives", () => {
  const numbers = random(31);
  const { below, pick } = numbers;
  const word = (most: number) =>
    Array.from({ length: 1 + below(most) }, () => pick(["a", "b", "c"])).join("");
  for (let round = 0; round < 3_000; round++) {
    const pairs: Record<string, string | null> = {};
    for (let n = below(6); n >= 0; n--) pairs[word(5)] = pick([null, "", word(3).toUpperCase()]);
    const text = word(80);
    let expected = "";
    for (let at = 0; at < text.length;) {
      const here = Object.keys(pairs).filter((one) => text.startsWith(one, at));
      const longest = here.reduce((a, b) => a.length < b.length ? b : a, "");
      expected += longest === "" ? text[at] : pairs[longest] ?? longest;
      at += Math.max(1, longest.length);
    }
    const of = replacements(pairs);
    expect(of.text(text)).toBe(expected);
    const pieces = cut(Buffer.from(text), numbers).map((one) => Buffer.from(one).toString());
    expect(through(of, ...pieces).join("")).toBe(expected);
  }
}, 60_000);

test.each([
  ["a", { aaaaaaaaaab: "x" }],
  ["a", { aa: "x", ["a".repeat(100) + "b"]: "y" }],
  ["ab", { ["ab".repeat(50) + "c"]: "x", b: "bb" }],
  ["xyz", { a: "b" }],
])("its work is linear in a run of %p", (run, pairs: Record<string, string>) => {
  const of = replacements(pairs);
  const bytes = Buffer.from(run.repeat(1 << 18));
  const { ratio } = growth((size) => {
    const stream = of.stream();
    for (let at = 0; at < size; at += 1_000) {
      stream.push(bytes.subarray(at, Math.min(size, at + 1_000)));
    }
    stream.end();
  }, { most: 1 << 18 });
  expect(ratio).toBeLessThan(SUBQUADRATIC);
}, 60_000);

const LEAST = 512; // where growth begins

test.each([
  ["what it begins with", "-m", "-----", "x"],
  ["bytes that are like its own in their low bits", 'a"#$', "", "abcd"],
])("its work does not grow with the length of a string, in a run of %s", (_, run, head, rest) => {
  const ofLength = new Map<number, ReturnType<typeof replacements>>();
  for (let length = LEAST; length <= 16 << 10; length *= 2) {
    ofLength.set(length, replacements({ [(head + rest.repeat(length)).slice(0, length)]: "y" }));
  }
  const bytes = Buffer.from(run.repeat((1 << 18) / run.length));
  const { ratio } = growth((size) => ofLength.get(size)?.stream().push(bytes), {
    most: 16 << 10,
    limit: 3,
  });
  expect(ratio).toBeLessThan(3); // of an eighth; with the length it would be 8
}, 60_000);

import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import { makePlaceholders } from "../../lib/secret/placeholder.ts";
import { type Sighting, Tripwire } from "../../lib/secret/tripwire.ts";
import { growth, SUBQUADRATIC } from "../support/growth.ts";
import { mutate } from "../support/mutate.ts";
import { cut, random } from "../support/random.ts";
import { unescaped } from "./unescaped.ts";

const numbers = random(5);
const secrets = [
  { name: "API_KEY", format: null },
  { name: "AWS_KEY", format: "AKIA*" },
  { name: "ANTHROPIC", format: "sk-ant-*" },
];
const drawn = () =>
  makePlaceholders(
    secrets,
    (count) => Uint8Array.from({ length: count }, () => numbers.below(256)),
    new Map([["AWS_KEY", 20], ["ANTHROPIC", 108]]),
  );
const placeholders = drawn();
const tripping = secrets.map(({ name }, at) => ({
  name,
  placeholder: placeholders[at] ?? { text: "", core: "" },
}));
const tripwire = new Tripwire(tripping);

const percent = (text: string) =>
  text.replace(/[^]/g, (one) => "%" + one.charCodeAt(0).toString(16).padStart(2, "0"));
const percentUp = (text: string) => percent(text).toUpperCase();
const someOf = (text: string) =>
  text.replace(/[aeiou2-7-]/g, (one) => "%" + one.charCodeAt(0).toString(16));
const json = (text: string) =>
  text.replace(/[^]/g, (one) => "\\u" + one.charCodeAt(0).toString(16).padStart(4, "0"));
const js = (text: string) => percent(text).replaceAll("%", "\\x");
const html = (text: string) => text.replace(/[^]/g, (one) => `&#${one.charCodeAt(0)};`);
const htmlHex = (text: string) =>
  text.replace(/[^]/g, (one) => `&#x${one.charCodeAt(0).toString(16)};`);
const htmlBare = (text: string) =>
  text.split("").map((one) => `&#0${one.charCodeAt(0)}`).join("") + "!";
const hex = (text: string) => Buffer.from(text, "latin1").toString("hex");
const base64 = (text: string) => Buffer.from(text, "latin1").toString("base64");
const base64Url = (text: string) => Buffer.from(text, "latin1").toString("base64url");
const upper = (text: string) => text.toUpperCase();
const lower = (text: string) => text.toLowerCase();
const mixed = (text: string) =>
  text.replace(/[^]/g, (one, at) => at % 2 === 0 ? one.toUpperCase() : one);
const wrapped = (text: string) => base64("x".repeat(40) + text).replace(/(.{60})/g, "$1\r\n");
const utf16 = (text: string) => Buffer.from(text, "utf16le").toString("latin1");
const labels = (text: string) => text.replace(/(.{9})/g, "$1.") + ".evil.test";

const ENCODINGS: Readonly<Record<string, (text: string) => string>> = {
  "as it is": (text) => text,
  "in capitals": upper,
  "in small letters": lower,
  "in both cases": mixed,
  "percent": percent,
  "percent in capitals": percentUp,
  "percent here and there": someOf,
  "percent twice": (text) => percent(percent(text)),
  "percent signs twice": (text) => percent(text).replaceAll("%", "%25"),
  "hex": hex,
  "hex in capitals": (text) => upper(hex(text)),
  "hex of capitals": (text) => hex(upper(text)),
  "hex in percent": (text) => percent(hex(text)),
  "base64": base64,
  "base64 behind one byte": (text) => base64(":" + text),
  "base64 behind two bytes": (text) => base64("u:" + text + "@"),
  "base64 of capitals": (text) => base64("u:" + upper(text)),
  "base64 for URLs": (text) => base64Url("\xff\xfe\xfb" + text + "\xff\xfb"),
  "base64 in percent": (text) => encodeURIComponent(base64("\xff\xff\xbe" + text)),
  "base64 in JSON": (text) => JSON.stringify(base64(text)).replaceAll("/", "\\/"),
  "base64 in lines": wrapped,
  "base64 in lines of JSON": (text) => JSON.stringify(wrapped(text)),
  "JSON": json,
  "JSON in capitals": (text) => json(text).toUpperCase().replaceAll("\\U", "\\u"),
  "JSON in JSON": (text) => JSON.stringify(json(text)),
  "JavaScript": js,
  "HTML": html,
  "HTML in hex": htmlHex,
  "HTML without semicolons": htmlBare,
  "HTML in percent": (text) => percent(html(text)),
  "percent in HTML": (text) => html(percent(text)),
  "percent in JSON": (text) => json(percent(text)),
  "UTF-16": utf16,
  "labels of a name": labels,
};

const names = (bytes: Uint8Array | string) => tripwire.scan(bytes).map(({ name }) => name);

describe.each(Object.entries(ENCODINGS))("%s", (_, encode) => {
  test.each(placeholders.map(({ text }, at) => [secrets[at]?.name ?? "", text]))(
    "%s is seen, and whole or cut anywhere",
    (name, text) => {
      for (const around of ["", "GET /?a=", "\0\x01\xff{", "%", "\\", "&#", "%2", "&#x7", "sbx-"]) {
        const bytes = Buffer.from(around + encode(text) + around, "latin1");
        expect(names(bytes)).toEqual([name]);
        for (const pieces of [[...bytes].map((byte) => Buffer.of(byte)), cut(bytes, numbers)]) {
          const watch = tripwire.watch();
          expect(pieces.flatMap((one) => watch.push(one)).map((one) => one.name)).toEqual([name]);
        }
      }
    },
  );
});

test("what it says of a sighting", () => {
  const [{ text } = { text: "" }] = placeholders;
  const of = (bytes: string) =>
    tripwire.scan(bytes).map(({ disguise, escapes }) => [disguise, escapes]);
  expect(of(text)).toEqual([["plain", 0]]);
  expect(of(base64(":" + text))).toEqual([["base64", 0]]);
  expect(of(hex(text))).toEqual([["hex", 0]]);
  expect(of(percent(text))).toEqual([["plain", 1]]);
  expect(of(percent(percent(base64(text))))).toEqual([["base64", 2]]);
});

test("several are seen in one piece, each once", () => {
  const all = placeholders.map(({ text }, at) => [text, percent(text), base64(text)][at]).join(" ");
  expect(names(all).sort()).toEqual(["ANTHROPIC", "API_KEY", "AWS_KEY"]);
  expect(names(all + all).sort()).toEqual(["ANTHROPIC", "API_KEY", "AWS_KEY"]);
});

test("a stream tells the piece in which a placeholder ends", () => {
  const [{ text } = { text: "" }] = placeholders;
  const watch = tripwire.watch();
  const said = [...Buffer.from(`${text} ${text}`)].map((byte) =>
    watch.push(Uint8Array.of(byte)).length
  );
  const ends = said.flatMap((count, at) => count > 0 ? [at + 1] : []);
  expect(ends).toEqual([text.length, text.length * 2 + 1]);
});

test("what is no placeholder is left alone", () => {
  const { below } = random(9);
  const others = drawn().flatMap(({ text }) => [text, base64(text), percent(text), hex(text)]);
  const parts = placeholders.flatMap((
    { text, core },
  ) => [text.replace(core, core.slice(0, -1) + "!")]);
  const noise = Array.from(
    { length: 200 },
    () => Buffer.from(Array.from({ length: 2_000 }, () => below(256))),
  );
  const prefixes = ["sbx-placeholder-", "sk-ant-", "AKIA", "%%%%&&&&\\\\\\\\&#&#x&#1%u0061"];
  for (const text of [...others, ...parts, ...noise, ...prefixes, ""]) {
    expect(names(text)).toEqual([]);
  }
  // Compressed bytes are for whoever decodes them.
  expect(names(gzipSync(placeholders[0]?.text ?? ""))).toEqual([]);
});

test("without secrets there is nothing to see", () => {
  expect(new Tripwire([]).scan(placeholders[0]?.text ?? "")).toEqual([]);
});

test("layers that are followed only where they differ find what decoding everything finds", () => {
  const { below, pick } = random(21);
  const [first = { text: "", core: "" }] = placeholders;
  const tricks = [percent, percentUp, someOf, json, js, html, htmlHex, (text: string) => text];
  const junk = [
    "%",
    "%4",
    "\\",
    "\\u00",
    "&",
    "&#",
    "&#x",
    "&#12",
    "a",
    ".",
    "\n",
    "%zz",
    "\\\\",
    "%25",
  ];
  for (let round = 0; round < 3_000; round++) {
    let text = "";
    const at = below(first.core.length);
    for (const part of [first.core.slice(0, at), first.core.slice(at)]) {
      for (let n = below(4); n > 0; n--) text += pick(junk);
      text += pick(tricks)(below(8) === 0 ? part.slice(1) : part);
    }
    const whole = pick(tricks)(text);
    const expected = [whole, unescaped(whole), unescaped(unescaped(whole))].some((view) =>
      view.toLowerCase().split("").filter((one) => one > " " && one !== ".").join("").includes(
        first.core,
      )
    );
    expect([whole, names(whole).includes("API_KEY")]).toEqual([whole, expected]);
  }
}, 60_000);

test("of 20,000 damaged texts each is read to its end, whole as in pieces", () => {
  const corpus = Object.values(ENCODINGS).flatMap((encode) =>
    placeholders.map(({ text }) => Buffer.from("a=" + encode(text) + "&b", "latin1"))
  );
  mutate(corpus, 20_000, (sample) => {
    const whole = new Set(names(sample));
    const watch = tripwire.watch();
    const pieces = cut(sample, numbers).flatMap((piece) => watch.push(piece));
    expect(new Set(pieces.map(({ name }) => name))).toEqual(whole);
    // Of a single byte none is passed over.
    const slow = tripwire.watch();
    const bytes = [...sample].flatMap((byte) => slow.push(Uint8Array.of(byte)));
    expect(new Set(bytes.map(({ name }) => name))).toEqual(whole);
  });
}, 60_000);

test("what is passed over changes nothing of what is seen, in any text, cut anywhere", () => {
  const numbers = random(34);
  const { below, pick } = numbers;
  const wires = [tripwire, new Tripwire(tripping.slice(0, 1))];
  const encoders = Object.values(ENCODINGS);
  const junk = [
    ..."%\\&#;uxnrtXU.\n {\xff09afzk7",
    "%2",
    "\\u00",
    "&#",
    "&#x",
    "&#37;",
    "%5c",
    "\\\\",
  ];
  const piece = () => {
    const encoded = pick(encoders)(pick(placeholders).text);
    const from = pick([0, below(encoded.length)]);
    return encoded.slice(from, pick([encoded.length, from + below(30)]));
  };
  const run = () => {
    const letters = pick(["0123456789abcdef", "abcxyz", "{\xff:,", " \n", "%2", junk.join("")]);
    return Array.from({ length: below(60) }, () => pick([...letters])).join("");
  };
  let seen = 0;
  for (let round = 0; round < 2_000; round++) {
    let text = "";
    for (let parts = below(10); parts >= 0; parts--) text += pick([run, piece, () => pick(junk)])();
    const bytes = Buffer.from(text, "latin1");
    for (const wire of wires) {
      // Of single bytes none is passed over.
      const slow = sightingsOf(wire, [...bytes].map((byte) => Uint8Array.of(byte)));
      expect([text, sightingsOf(wire, [bytes])]).toEqual([text, onceOf(slow)]);
      expect(onceOf(sightingsOf(wire, cut(bytes, numbers)))).toEqual(onceOf(slow));
      seen += slow.length;
    }
  }
  expect(seen).toBeGreaterThan(1_000);
}, 60_000);

function sightingsOf(wire: Tripwire, pieces: readonly Uint8Array[]): Sighting[] {
  const watch = wire.watch();
  return pieces.flatMap((one) => watch.push(one));
}

function onceOf(sightings: readonly Sighting[]): Sighting[] {
  return sightings.filter((one, at) => at === sightings.findIndex(({ name }) => name === one.name));
}

test.each([
  "a",
  "%",
  "\\",
  "&",
  "&#",
  "&#x",
  "&#1",
  "&#x1",
  "%2",
  "%25",
  "\\u",
  "\\u00",
  "\\\\",
  "%41",
  "&#65;",
  ".",
  "0",
  "{" + "0".repeat(15),
  "0".repeat(12) + "%{",
  (placeholders[0]?.core ?? "").slice(0, -1),
  base64(placeholders[0]?.core ?? "").slice(0, 20),
  percent((placeholders[0]?.core ?? "").slice(0, -1)),
])("its work is linear in a run of %p", (run) => {
  const bytes = Buffer.from(run.repeat(Math.ceil((1 << 20) / run.length)), "latin1");
  const { ratio } = growth((size) => tripwire.scan(bytes.subarray(0, size)), { most: 1 << 20 });
  expect(ratio).toBeLessThan(SUBQUADRATIC);
}, 60_000);

import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { SbxError } from "../../lib/base/errors.ts";
import { isFormat } from "../../lib/policy/model/secret_scope.ts";
import { type Draw, makePlaceholders } from "../../lib/secret/placeholder.ts";
import { random } from "../support/random.ts";

const draw: Draw = (count) => randomBytes(count);
const named = (name: string, format: string | null = null) => ({ name, format });

test("placeholders are of one length, and fit a DNS label, a field, a URL and a JSON string", () => {
  const names = Array.from({ length: 100 }, (_, n) => named(`KEY_${n}`));
  const made = makePlaceholders(names, draw);
  for (const { text, core } of made) {
    expect(text).toMatch(/^sbx-placeholder-[a-z2-7]{26}$/);
    expect(text.endsWith(core)).toBe(true);
    expect(encodeURIComponent(text)).toBe(text);
    expect(JSON.stringify(text)).toBe(`"${text}"`);
    expect(text.length).toBeLessThanOrEqual(63);
  }
  expect(new Set(made.map(({ text }) => text)).size).toBe(100);
});

test("two sandboxes have different ones", () => {
  const [one] = makePlaceholders([named("KEY")], draw);
  const [other] = makePlaceholders([named("KEY")], draw);
  expect(one?.text).not.toBe(other?.text);
});

test("none is found where another stands, in any case", () => {
  const { below, pick } = random(7);
  const seeded: Draw = (count) => Uint8Array.from({ length: count }, () => below(256));
  for (let round = 0; round < 300; round++) {
    const secrets = Array.from(
      { length: 1 + below(8) },
      (_, n) => named(`K${n}`, pick([null, "sk-*", "sk-ant-*", "*", "AKIA*", "*.x", "sbx-*"])),
    );
    const made = makePlaceholders(secrets, seeded).map(({ text }) => text.toLowerCase());
    for (const [at, text] of made.entries()) {
      expect(made.findIndex((other) => other.includes(text))).toBe(at);
      expect(made.findLastIndex((other) => other.includes(text))).toBe(at);
    }
  }
}, 60_000);

test.each<[string, number | undefined, RegExp]>([
  ["sk-ant-*", 108, /^sk-ant-[a-z2-7]{64}x{37}$/],
  ["ghp_*", 40, /^ghp_[a-z2-7]{36}$/],
  ["AKIA*", 20, /^AKIA[A-Z2-7]{16}$/],
  ["*.apps", 30, /^[a-z2-7]{25}\.apps$/],
  ["*", 16, /^[a-z2-7]{16}$/],
  ["sk-ant-*", undefined, /^sk-ant-[a-z2-7]{26}$/],
])("%s for a value of %p bytes", (format, length, shape) => {
  const lengths = new Map(length === undefined ? [] : [["KEY", length]]);
  const [made] = makePlaceholders([named("KEY", format)], draw, lengths);
  expect(made?.text).toMatch(shape);
  if (length !== undefined) expect(made?.text.length).toBe(length);
  expect(made?.text).toContain(made?.core ?? "");
});

test.each(["sk-ant", "*-*", "", "sk ant*", "sk/*", "ключ*", "sk-*\n"])(
  "%p is no format",
  (format) => {
    expect(isFormat(format)).toBe(false);
    expect(() => makePlaceholders([named("KEY", format)], draw)).toThrow(SbxError);
  },
);

test("a format that leaves no room for randomness is refused", () => {
  const make = (length: number) =>
    makePlaceholders([named("KEY", "sk-ant-api03-*")], draw, new Map([["KEY", length]]));
  expect(make(29)).toHaveLength(1);
  expect(() => make(28)).toThrow(
    'Cannot use the format "sk-ant-api03-*" of KEY: ' +
      "it leaves less than 16 characters of the value's length",
  );
});

test("a broken source of randomness gives none", () => {
  const zeros: Draw = (count) => Buffer.alloc(count);
  expect(makePlaceholders([named("A")], zeros)).toHaveLength(1);
  expect(() => makePlaceholders([named("A"), named("B")], zeros)).toThrow("repeat");
  expect(() => makePlaceholders([named("A")], () => new Uint8Array(3))).toThrow("too few");
});

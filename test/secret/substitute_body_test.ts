import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { type BodyKind, bodyKindOf } from "../../lib/secret/body_kind.ts";
import type { HeldSecret } from "../../lib/secret/grant.ts";
import { PLACES, type Secret } from "../../lib/policy/model/secret.ts";
import { substituteBody } from "../../lib/secret/substitute_body.ts";
import { growth, SUBQUADRATIC } from "../support/growth.ts";
import { mutate } from "../support/mutate.ts";
import { cut, random } from "../support/random.ts";
import { grantOf, held } from "./held.ts";

const BODY: Partial<Secret> = { places: new Set(PLACES) };
const KEY = held('pa$&ss "\\ \u00e4<&>+=%', BODY);
const PH = KEY.placeholder.text;
const VALUE = KEY.value.reveal();

const PLAIN: BodyKind = { kind: "plain" };
const JSON_KIND: BodyKind = { kind: "json" };
const FORM: BodyKind = { kind: "form" };
const PARTS: BodyKind = { kind: "multipart", boundary: "b-1" };

/** The whole in pieces, and what became of it. */
function substituted(
  kind: BodyKind | null,
  pieces: readonly Uint8Array[],
  ...secrets: HeldSecret[]
) {
  const body = substituteBody(kind, secrets.map((one) => grantOf(one)));
  const given = pieces.map((piece) => Buffer.from(body.push(piece)));
  const text = Buffer.concat([...given, body.end()]).toString();
  return { text, used: body.used, inert: body.inert, keepsLength: body.keepsLength };
}

const sent = (kind: BodyKind | null, text: string, ...secrets: HeldSecret[]) =>
  substituted(kind, [Buffer.from(text)], ...secrets).text;

test("the kind of a body", () => {
  const kinds: Readonly<Record<string, string | null>> = {
    "application/json": "json",
    "Application/JSON; charset=UTF-8": "json",
    "application/vnd.api+json": "json",
    "application/x-ndjson": "json",
    "application/x-www-form-urlencoded": "form",
    "application/xml": "xml",
    "application/soap+xml;charset=utf-8": "xml",
    "text/plain": "plain",
    "text/markdown; charset=us-ascii": "plain",
    "application/graphql": "plain",
    "application/json; charset=utf-16": null,
    "application/json; charset=utf-8; charset=utf-16": null,
    "application/octet-stream": null,
    "application/grpc": null,
    "application/grpc+json": null,
    "application/connect+json": null,
    "application/x-protobuf": null,
    "image/png": null,
    "multipart/form-data": null,
    "multipart/form-data; boundary=": null,
    "": null,
    "json": null,
  };
  for (const [type, kind] of Object.entries(kinds)) {
    expect([type, bodyKindOf(type)?.kind ?? null]).toEqual([type, kind]);
  }
  expect(bodyKindOf('multipart/form-data; boundary="b 1"')).toEqual({
    kind: "multipart",
    boundary: "b 1",
  });
  expect(bodyKindOf("multipart/related; type=x; Boundary=b-1")).toEqual(PARTS);
});

describe("a value stands in a body as a program that has it writes it", () => {
  test("in text", () => {
    expect(sent(PLAIN, `key=${PH}\n${PH}`, KEY)).toBe(`key=${VALUE}\n${VALUE}`);
  });

  test("in JSON", () => {
    const of = (key: string) => JSON.stringify({ [key]: `x${key}`, list: [1, key], n: null });
    expect(JSON.parse(sent(JSON_KIND, of(PH), KEY))).toEqual(JSON.parse(of(VALUE)));
  });

  test("in a form, whose tildes are encoded", () => {
    const tilde = held(VALUE, { ...BODY, name: "TILDE", format: "~~*" });
    const of = (key: string) =>
      new URLSearchParams({ a: key, [`${key}`]: "b c", d: `~${key}` }).toString();
    for (const key of [KEY, tilde]) {
      const parsed = new URLSearchParams(sent(FORM, of(key.placeholder.text), key));
      expect([...parsed]).toEqual([...new URLSearchParams(of(VALUE))]);
    }
  });

  test("in XML", () => {
    const odd = held("<a&\"'>b", BODY);
    const { text } = odd.placeholder;
    expect(sent({ kind: "xml" }, `<a b="${text}"/>`, odd)).toBe(
      '<a b="&#60;a&#38;&#34;&#39;&#62;b"/>',
    );
  });

  test("in each part of a multipart body as its part is, and in no other place", () => {
    const part = (head: string, body: string) => `--b-1\r\n${head}\r\n\r\n${body}\r\n`;
    const of = (text: string, json: string, ph: string) =>
      `preamble ${ph}\r\n` +
      part('Content-Disposition: form-data; name="a"', text) +
      part("content-type: Application/JSON", `{"k":"${json}"}`) +
      part("Content-Type: application/octet-stream", ph) +
      part("Content-Transfer-Encoding: base64", ph) +
      part("Content-Transfer-Encoding: 8bit\r\nContent-Type: text/plain", `--b-2 ${text}\r\n--b`) +
      part(`X-${ph}: y`, "") +
      part("Content-Type: multipart/mixed; boundary=c", ph) +
      `--b-1--\r\nepilogue ${ph}`;
    const body = Buffer.from(of(PH, PH, PH));
    const expected = of(VALUE, JSON.stringify(VALUE).slice(1, -1), PH);
    const whole = substituted(PARTS, [body], KEY);
    expect(whole.text).toBe(expected);
    expect(whole.used).toEqual([{ name: "API_KEY", count: 3 }]);
    expect(whole.inert).toEqual([{ name: "API_KEY", count: 6 }]);
    for (let at = 1; at < body.length; at++) {
      const pieces = [body.subarray(0, at), body.subarray(at)];
      expect(substituted(PARTS, pieces, KEY)).toEqual(whole);
    }
    expect(substituted(PARTS, [...body].map((byte) => Buffer.of(byte)), KEY).text).toBe(expected);
  });
});

describe("nothing is put in", () => {
  test("where the secret is not for bodies", () => {
    const key = held("real-value");
    const { text } = key.placeholder;
    const result = substituted(JSON_KIND, [Buffer.from(`["${text}","${text}"]`)], key);
    expect(result).toEqual({
      text: `["${text}","${text}"]`,
      used: [],
      inert: [{ name: "API_KEY", count: 2 }],
      keepsLength: true,
    });
  });

  test("where the kind is not known", () => {
    const result = substituted(null, [Buffer.from(`\0${PH}\xff`, "latin1")], KEY);
    expect([result.used, result.inert, result.keepsLength]).toEqual([
      [],
      [{ name: "API_KEY", count: 1 }],
      true,
    ]);
  });

  test("without grants, and for other placeholders", () => {
    expect(sent(PLAIN, PH)).toBe(PH);
    expect(sent(PLAIN, held("x", BODY).placeholder.text, KEY)).not.toContain(VALUE);
    for (const near of [PH.slice(0, -1), PH.toUpperCase(), PH.replace("-", "\\u002d")]) {
      expect(sent(JSON_KIND, near, KEY)).toBe(near);
    }
  });
});

test("what was put in is not read again", () => {
  const other = held("x", { ...BODY, name: "OTHER" });
  const nested = held(`<${other.placeholder.text}>`, { ...BODY, name: "NESTED" });
  expect(sent(PLAIN, nested.placeholder.text + other.placeholder.text, nested, other))
    .toBe(`<${other.placeholder.text}>x`);
});

test("whether the length changes is known before", () => {
  const same = held("v".repeat(40), { ...BODY, format: "sk-*" });
  const fitting = {
    ...same,
    placeholder: { ...same.placeholder, text: same.placeholder.text.padEnd(40, "x") },
  };
  expect(substituteBody(JSON_KIND, [grantOf(fitting)]).keepsLength).toBe(true);
  expect(substituteBody(PARTS, [grantOf(fitting)]).keepsLength).toBe(true);
  expect(substituteBody(JSON_KIND, [grantOf(KEY)]).keepsLength).toBe(false);
  expect(substituteBody(PARTS, [grantOf(KEY)]).keepsLength).toBe(false);
});

test("of a body that only passes nothing is held but what may become a placeholder", () => {
  const body = substituteBody(PLAIN, [grantOf(KEY)]);
  expect(body.push(Buffer.from("line one\n")).toString()).toBe("line one\n");
  expect(body.push(Buffer.from("line sbx-")).toString()).toBe("line ");
  expect(body.push(Buffer.from("two\n")).toString()).toBe("sbx-two\n");
});

test("however it is cut, an allowed host gets the body of a guest that has the values", () => {
  const numbers = random(51);
  const { below, pick } = numbers;
  const letters = [..."abXY01 +&=%\"'\\/<>;:-\u00e4\u20ac$`"];
  const word = (size: number) => Array.from({ length: size }, () => pick(letters)).join("");
  const percent = (text: string) =>
    encodeURIComponent(text).replace(
      /[!'()*]/g,
      (one) => "%" + one.charCodeAt(0).toString(16).toUpperCase(),
    );
  for (let round = 0; round < 1_000; round++) {
    const secrets = Array.from({ length: 1 + below(3) }, (_, n) =>
      held(`v${word(below(40))}v`, {
        ...BODY,
        name: `KEY_${n}`,
        format: pick([null, null, "sk-*"]),
      }));
    const kind = pick([PLAIN, JSON_KIND, FORM, PARTS]);
    const texts = Array.from({ length: 1 + below(5) }, () => word(below(30)));
    const build = (keys: readonly string[]): string => {
      const key = (n: number) => keys[n % keys.length] ?? "";
      switch (kind.kind) {
        case "json":
          return JSON.stringify(
            texts.map((text, n) => ({ [text]: key(n), [key(n)]: text + key(n) })),
          );
        case "form":
          return texts.map((text, n) => `${percent(text)}=${percent(key(n) + text + key(n + 1))}`)
            .join("&");
        case "multipart":
          return texts.map((text, n) =>
            n % 2 === 0
              ? `--b-1\r\nContent-Disposition: form-data; name=a\r\n\r\n${text}${key(n)}\r\n`
              : `--b-1\r\nContent-Type: application/json\r\n\r\n${
                JSON.stringify(text + key(n))
              }\r\n`
          ).join("") + "--b-1--\r\n";
        default:
          return texts.map((text, n) => text + key(n) + key(n + 1)).join("\n");
      }
    };
    const body = Buffer.from(build(secrets.map(({ placeholder }) => placeholder.text)));
    const { text, inert } = substituted(kind, cut(body, numbers), ...secrets);
    expect([text, inert]).toEqual([build(secrets.map(({ value }) => value.reveal())), []]);
  }
}, 60_000);

test("of 5,000 damaged bodies each gives in pieces what it gives whole", () => {
  const numbers = random(53);
  const corpus = [
    `{"a":"${PH}","b":"x${PH}"}`,
    `a=${PH}&b=${PH}`,
    `--b-1\r\nContent-Type: text/plain\r\n\r\n${PH}\r\n--b-1\r\nContent-Type: application/json\r\n\r\n"${PH}"\r\n--b-1--`,
  ].map((one) => Buffer.from(one));
  let changed = 0;
  mutate(corpus, 5_000, (sample) => {
    const kind = numbers.pick([PLAIN, JSON_KIND, FORM, PARTS, PARTS, null]);
    const whole = substituted(kind, [sample], KEY);
    const pieces = substituted(kind, cut(sample, numbers), KEY);
    expect([pieces.text, pieces.used]).toEqual([whole.text, whole.used]);
    if (whole.used.length > 0) changed++;
    else expect(whole.text).toBe(Buffer.from(sample).toString());
  });
  expect(changed).toBeGreaterThan(500);
}, 60_000);

test.each([
  "a",
  "sbx-placeholder-",
  PH.slice(0, -1),
  "\r\n--b-",
  "\r\n--b-1",
  "\r\n--b-1\r\n",
  "--b-1\r\n\r\n",
])(
  "its work is linear in a run of %j",
  (run) => {
    const bytes = Buffer.from(run.repeat(Math.ceil((1 << 18) / run.length)));
    for (const kind of [PLAIN, PARTS]) {
      const { ratio } = growth((size) => {
        const body = substituteBody(kind, [grantOf(KEY)]);
        for (let at = 0; at < size; at += 500) {
          body.push(bytes.subarray(at, Math.min(size, at + 500)));
        }
        body.end();
      }, { most: 1 << 18 });
      expect(ratio).toBeLessThan(SUBQUADRATIC);
    }
  },
  60_000,
);

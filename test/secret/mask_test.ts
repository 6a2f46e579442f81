import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { fittedForms, formsOf } from "../../lib/secret/forms.ts";
import type { HeldSecret } from "../../lib/secret/grant.ts";
import { Mask } from "../../lib/secret/mask.ts";
import type { HeadField } from "../../lib/secret/substitute_head.ts";
import { growth, SUBQUADRATIC } from "../support/growth.ts";
import { mutate } from "../support/mutate.ts";
import { cut, random } from "../support/random.ts";
import { held } from "./held.ts";

const field = (name: string, value: string): HeadField => ({
  name,
  key: name.toLowerCase(),
  value,
});
const wire = (text: string) => Buffer.from(text, "utf8").toString("latin1");
const base64 = (text: string) => Buffer.from(text, "utf8").toString("base64");

function masked(text: string, ...secrets: HeldSecret[]): string {
  const body = new Mask(secrets).body();
  return Buffer.concat([body.push(Buffer.from(text, "latin1")), body.end()]).toString("latin1");
}

const ODD = held('a/b?c="d"&e#<f>+g%2f h\'\u00e4\ud83d\udd11\\=z');
const TOKEN = held("ghp_0123456789abcdefABCDEF", { name: "TOKEN" });
const PH = ODD.placeholder.text;
const VALUE = ODD.value.reveal();

describe("a value becomes the placeholder", () => {
  test.each<[string, string, string]>([
    ["as it is", wire(`key: ${VALUE}!`), `key: ${PH}!`],
    ["percent-encoded", `?k=${encodeURIComponent(VALUE)}&`, `?k=${PH}&`],
    [
      "percent-encoded in small letters",
      encodeURIComponent(VALUE).replace(/%../g, (x) => x.toLowerCase()),
      PH,
    ],
    ["in a form", new URLSearchParams({ k: VALUE }).toString(), `k=${PH}`],
    ["in JSON", wire(JSON.stringify({ k: VALUE })), `{"k":"${PH}"}`],
    ["in JSON with escaped slashes", wire(JSON.stringify(VALUE).replaceAll("/", "\\/")), `"${PH}"`],
    ["in hex", `<${Buffer.from(VALUE).toString("hex")}>`, `<${Buffer.from(PH).toString("hex")}>`],
    ["in HTML", wire(Bun.escapeHTML(VALUE)), PH],
    [
      "in the JSON of Python",
      JSON.stringify(VALUE).replace(
        /[^ -~]/g,
        (x) => `\\u${x.charCodeAt(0).toString(16).padStart(4, "0")}`,
      ),
      `"${PH}"`,
    ],
    [
      "in the JSON of Go",
      wire(JSON.stringify(VALUE).replace(/[<>&]/g, (x) => `\\u00${x.charCodeAt(0).toString(16)}`)),
      `"${PH}"`,
    ],
  ])("%s", (_, text, expected) => {
    expect(masked(text, ODD)).toBe(expected);
  });

  test.each(["", "u", "u:", "u:p", "user:"])("in base64 behind %j", (before) => {
    for (const after of ["", ":", "ab", "tail"]) {
      const whole = base64(before + VALUE + after);
      for (const url of [false, true]) {
        const text = url ? Buffer.from(whole, "base64").toString("base64url") : whole;
        const out = masked(`"${text}"`, ODD).slice(1, -1);
        const inside = Buffer.from(out, "base64").toString("latin1");
        expect(inside).toContain(PH.slice(1, -1));
        // What stands around it is what it was.
        expect([inside.startsWith(before), inside.endsWith(after)]).toEqual([true, true]);
        expect(inside).not.toContain(wire(VALUE).slice(1, -1));
      }
    }
  });
});

test("all of it is masked, and each is counted", () => {
  const mask = new Mask([ODD, TOKEN]);
  const token = TOKEN.value.reveal();
  const body = mask.body();
  const text = wire(`${token}${token} ${VALUE}${base64(`x:${token}`)}`);
  const out = Buffer.concat([body.push(Buffer.from(text, "latin1")), body.end()]).toString(
    "latin1",
  );
  expect(out).not.toContain(token);
  expect(out).toStartWith(`${TOKEN.placeholder.text}${TOKEN.placeholder.text} ${PH}`);
  expect(body.masked).toEqual([{ name: "TOKEN", count: 3 }, { name: "API_KEY", count: 1 }]);
});

test("fields are masked in name and value, those that frame a message are not", () => {
  const digits = held("1234567890", { name: "DIGITS" });
  const mask = new Mask([ODD, TOKEN, digits]);
  const token = TOKEN.value.reveal();
  const kept = field("ETag", "x");
  const { fields, masked } = mask.fields([
    field("Content-Length", "1234567890"),
    field("Set-Cookie", `session=${token}; Path=/`),
    field("Location", `https://evil.test/?k=${encodeURIComponent(VALUE)}`),
    field("WWW-Authenticate", `Basic realm="${base64(`u:${token}`)}"`),
    field(`X-${token}`, "1234567890"),
    kept,
  ]);
  expect(fields.slice(0, 3)).toEqual([
    field("Content-Length", "1234567890"),
    field("Set-Cookie", `session=${TOKEN.placeholder.text}; Path=/`),
    field("Location", `https://evil.test/?k=${PH}`),
  ]);
  expect(fields[3]?.value).not.toContain(base64(`u:${token}`).slice(3, -3));
  expect(fields[4]).toEqual(field(`X-${TOKEN.placeholder.text}`, digits.placeholder.text));
  expect(fields[5]).toBe(kept);
  expect(masked).toEqual([
    { name: "TOKEN", count: 3 },
    { name: "API_KEY", count: 1 },
    { name: "DIGITS", count: 1 },
  ]);
  expect(mask.text(`No ${token}`)).toBe(`No ${TOKEN.placeholder.text}`);
});

test("who does not want it, and what is too short, is not masked, and the latter is told", () => {
  const open = held("open-value-1", { name: "OPEN", mask: false });
  const mask = new Mask([
    open,
    held("1234567", { name: "SHORT" }),
    held("12345678", { name: "LONG" }),
  ]);
  expect(mask.unmasked).toEqual(["SHORT"]);
  expect(mask.text("open-value-1 1234567")).toBe("open-value-1 1234567");
  expect(mask.text("12345678")).not.toBe("12345678");
  const none = new Mask([]);
  const fields = [field("A", "b")];
  expect(none.fields(fields).fields).toBe(fields);
  expect([none.keepsLength, none.text("a")]).toEqual([true, "a"]);
});

test("of values that begin alike or hold each other the longest is masked", () => {
  const short = held("prefix-1234", { name: "SHORT" });
  const long = held("prefix-1234-and-more", { name: "LONG" });
  const outer = held("my-prefix-1234-x", { name: "OUTER" });
  const text = "prefix-1234-and-more prefix-1234-and my-prefix-1234-x";
  expect(masked(text, short, long, outer)).toBe(
    `${long.placeholder.text} ${short.placeholder.text}-and ${outer.placeholder.text}`,
  );
});

test("bodies keep their length where all forms do", () => {
  const value = "sk-ant-" + "q".repeat(36);
  const alike = held(value, { format: "sk-ant-*" });
  const { placeholder, ...rest } = alike;
  const long = { ...rest, placeholder: { ...placeholder, text: placeholder.text.padEnd(43, "x") } };
  expect(new Mask([long]).keepsLength).toBe(true);
  expect(new Mask([alike]).keepsLength).toBe(false);
});

test("a fitted body keeps its length in every form, and has none of them", () => {
  for (const value of ["12345678", ODD.value.reveal(), "x".repeat(100)]) {
    const one = held(value);
    for (const [from, to] of fittedForms(value, one.placeholder.text)) {
      expect(to.length).toBe(from.length);
      const body = new Mask([one]).fittedBody();
      const text = Buffer.concat([Buffer.from("a "), from, Buffer.from(" b")]);
      const out = Buffer.concat([body.push(text), body.end()]);
      expect([out.length, out.includes(from)]).toEqual([text.length, false]);
      expect(body.masked).toEqual([{ name: "API_KEY", count: 1 }]);
    }
  }
});

test("an answer that comes line by line goes on line by line", () => {
  const body = new Mask([TOKEN]).body();
  const lines = ["data: one\n", "data: two\n\n", `data: ${TOKEN.value.reveal()}\n`];
  const given = lines.map((line) => body.push(Buffer.from(line)).toString());
  expect(given).toEqual(["data: one\n", "data: two\n\n", `data: ${TOKEN.placeholder.text}\n`]);
});

test("however a body is cut, no form of a value comes out of it", () => {
  const numbers = random(41);
  const { below, pick } = numbers;
  const letters = [..."abXY01+/=&<\"'\\% -_.~\u00e9\u20ac"];
  const word = (size: number) => Array.from({ length: size }, () => pick(letters)).join("");
  for (let round = 0; round < 300; round++) {
    const secrets = Array.from(
      { length: 1 + below(3) },
      (_, n) => held(`s${word(8 + below(40))}s`, { name: `KEY_${n}` }),
    );
    const forms = secrets.flatMap(({ value, placeholder }) =>
      formsOf(value.reveal(), placeholder.text).map(([from]) =>
        Buffer.from(from).toString("latin1")
      )
    );
    const text = Array.from({ length: 1 + below(6) }, () => wire(word(below(20))) + pick(forms))
      .join("");
    const mask = new Mask(secrets);
    const whole = mask.text(text);
    const body = mask.body();
    const pieces = cut(Buffer.from(text, "latin1"), numbers).map((piece) => body.push(piece));
    expect(Buffer.concat([...pieces, body.end()]).toString("latin1")).toBe(whole);
    expect(forms.filter((form) => whole.includes(form))).toEqual([]);
  }
}, 60_000);

/** What stands beside and between the placeholders. */
function between(bytes: Buffer): Buffer[] {
  return bytes.toString("latin1").split(PH)
    .flatMap((piece) => piece.split(TOKEN.placeholder.text))
    .map((piece) => Buffer.from(piece, "latin1"));
}

test(
  "of 5,000 damaged bodies each is read to its end, and without the value comes out as it was",
  () => {
    const numbers = random(43);
    const corpus = [ODD, TOKEN].flatMap(({ value, placeholder }) =>
      formsOf(value.reveal(), placeholder.text).map(([from]) =>
        Buffer.concat([Buffer.from("x:"), from, from])
      )
    );
    const forms = [ODD, TOKEN].flatMap(({ value, placeholder }) =>
      formsOf(value.reveal(), placeholder.text).map(([from]) => from)
    );
    const mask = new Mask([ODD, TOKEN]);
    let changed = 0;
    mutate(corpus, 5_000, (sample) => {
      const body = mask.body();
      const out = Buffer.concat([...cut(sample, numbers).map((one) => body.push(one)), body.end()]);
      const has = (bytes: Buffer) => forms.some((form) => bytes.includes(form));
      // All but its first letter is no value, and may stand behind a placeholder that ends in that letter.
      expect(between(out).some(has)).toBe(false);
      if (has(Buffer.from(sample))) changed++;
      else expect(out.equals(sample)).toBe(true);
    });
    expect(changed).toBeGreaterThan(500);
  },
  60_000,
);

test.each([
  "a",
  "gh",
  "g",
  TOKEN.value.reveal().slice(0, -1),
  base64(TOKEN.value.reveal()).slice(0, 20),
])(
  "its work is linear in a run of %p",
  (run) => {
    const mask = new Mask([ODD, TOKEN]);
    const bytes = Buffer.from(run.repeat(Math.ceil((1 << 19) / run.length)), "latin1");
    const { ratio } = growth((size) => mask.body().push(bytes.subarray(0, size)), {
      most: 1 << 19,
    });
    expect(ratio).toBeLessThan(SUBQUADRATIC);
  },
  60_000,
);

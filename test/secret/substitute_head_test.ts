import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import type { HeldSecret } from "../../lib/secret/grant.ts";
import { PLACES, type Secret } from "../../lib/policy/model/secret.ts";
import { mayHoldValue } from "../../lib/policy/model/secret_scope.ts";
import {
  type HeadField,
  type RequestHead,
  substituteHead,
} from "../../lib/secret/substitute_head.ts";
import { growth, SUBQUADRATIC } from "../support/growth.ts";
import { mutate } from "../support/mutate.ts";
import { random } from "../support/random.ts";
import { grantOf, held } from "./held.ts";

const REAL = "real-value";
const EVERYWHERE: Partial<Secret> = { places: new Set(PLACES), headers: { kind: "any" } };

const field = (name: string, value: string): HeadField => ({
  name,
  key: name.toLowerCase(),
  value,
});
const request = (target: string, ...fields: HeadField[]): RequestHead => ({
  method: "GET",
  target,
  fields: [field("Host", "api.allowed.test"), ...fields],
});
const wire = (text: string) => Buffer.from(text, "utf8").toString("latin1");
const base64 = (text: string) => Buffer.from(text, "utf8").toString("base64");

function substituted(head: RequestHead, ...secrets: HeldSecret[]) {
  const result = substituteHead(head, secrets.map((one) => grantOf(one)));
  if (result.kind === "refused") throw new Error(result.why);
  return result;
}

/** Target and values, without Host. */
function sent(head: RequestHead, ...secrets: HeldSecret[]): string[] {
  const { head: { target, fields } } = substituted(head, ...secrets);
  return [target, ...fields.slice(1).map(({ name, value }) => `${name}: ${value}`)];
}

describe("by default", () => {
  const key = held(REAL);
  const ph = key.placeholder.text;

  test("credentials get the value, alone or behind a scheme", () => {
    const head = request(
      "/",
      field("Authorization", `Bearer ${ph}`),
      field("X-Api-Key", ph),
      field("Cookie", `a=b; session=${ph}; c=d`),
    );
    const { head: { fields }, used, inert, sensitiveTarget } = substituted(head, key);
    expect(fields.slice(1)).toEqual([
      { name: "Authorization", key: "authorization", value: `Bearer ${REAL}`, sensitive: true },
      { name: "X-Api-Key", key: "x-api-key", value: REAL, sensitive: true },
      { name: "Cookie", key: "cookie", value: `a=b; session=${REAL}; c=d`, sensitive: true },
    ]);
    expect(fields[0]).toBe(head.fields[0] as HeadField);
    expect(used).toEqual([{ name: "API_KEY", place: "header", count: 3 }]);
    expect([inert, sensitiveTarget]).toEqual([[], false]);
  });

  test("Basic credentials get it inside their base64, as user or as password", () => {
    for (const [plain, real] of [[`me:${ph}`, `me:${REAL}`], [`${ph}:`, `${REAL}:`], [ph, REAL]]) {
      const head = request("/", field("Authorization", `Basic ${base64(plain ?? "")}`));
      expect(sent(head, key)).toEqual(["/", `Authorization: Basic ${base64(real ?? "")}`]);
      expect(substituted(head, key).used).toEqual([{ name: "API_KEY", place: "basic", count: 1 }]);
    }
  });

  test("a value that is the whole base64 is put in as it is", () => {
    const whole = held(base64("me:pass"));
    const head = request("/", field("Authorization", `Basic ${whole.placeholder.text}`));
    expect(sent(head, whole)).toEqual(["/", `Authorization: Basic ${base64("me:pass")}`]);
  });

  test("nothing else does: what stands there stays, and is counted", () => {
    const head: RequestHead = {
      method: ph,
      target: `/${ph}/x?k=${ph}&l=${ph}#${ph}`,
      fields: [
        field("Host", `${ph}.test`),
        field("User-Agent", ph),
        field(`X-${ph}`, "x"),
        field("Content-Length", ph),
      ],
    };
    const { head: out, used, inert, sensitiveTarget } = substituted(head, key);
    expect(out).toEqual(head);
    expect([used, sensitiveTarget]).toEqual([[], false]);
    expect(inert).toEqual([
      { name: "API_KEY", place: "path", count: 1 },
      { name: "API_KEY", place: "query", count: 2 },
      { name: "API_KEY", place: "elsewhere", count: 3 },
      { name: "API_KEY", place: "header", count: 3 },
    ]);
  });

  test("a placeholder in other letters is none", () => {
    const head = request(
      "/",
      field("Authorization", `Bearer ${ph.toUpperCase()}`),
      field("X-Api-Key", ph.slice(0, -1)),
      field("Proxy-Authorization", `Basic ${base64("me:" + ph).replace("c", "-")}`),
    );
    expect(substituted(head, key).head).toEqual(head);
  });
});

describe("where a secret may be everywhere", () => {
  const key = held(REAL, EVERYWHERE);
  const ph = key.placeholder.text;

  test("what frames and routes a request is not touched", () => {
    const names = ["Host", "Content-Length", "Transfer-Encoding", "Connection", "TE", "Upgrade"];
    const pseudo = [":authority", ":scheme", ":method"];
    for (const name of [...names, ...pseudo]) {
      expect(mayHoldValue(name.toLowerCase())).toBe(false);
      expect(sent(request("/", field(name, ph)), key)).toEqual(["/", `${name}: ${ph}`]);
    }
    const head = { ...request("/", field(`X-${ph}`, "x")), method: ph };
    expect(substituted(head, key).head).toEqual(head);
    for (const target of [`http://${ph}/`, `${ph}:443`, "*", `/#${ph}`]) {
      expect(sent(request(target), key)).toEqual([target]);
    }
  });

  test("a value adds no parameter, no segment and no fragment", () => {
    const odd = held("a/b?c=d&e#f+g%2f h\u00e4", EVERYWHERE);
    const encoded = "a%2Fb%3Fc%3Dd%26e%23f%2Bg%252f%20h%C3%A4";
    const { text } = odd.placeholder;
    const head = request(`/x/${text}/y?k=${text}&l=1`);
    expect(sent(head, odd)).toEqual([`/x/${encoded}/y?k=${encoded}&l=1`]);
    expect(substituted(head, odd).sensitiveTarget).toBe(true);
  });

  test("a placeholder whose characters came percent-encoded is one, decoded once", () => {
    const escaped = ph.replace(/[sxp-]/g, (one) => "%" + one.charCodeAt(0).toString(16));
    const all = ph.replace(/./g, (one) => "%" + one.charCodeAt(0).toString(16).toUpperCase());
    expect(sent(request(`/${escaped}%2f?a=%${all}%&b=%2${ph}`), key))
      .toEqual([`/${REAL}%2f?a=%${REAL}%&b=%2${REAL}`]);
    const twice = all.replaceAll("%", "%25");
    expect(sent(request(`/?a=${twice}`), key)).toEqual([`/?a=${twice}`]);
  });

  test("what was put in is not read again", () => {
    const other = held("x", { ...EVERYWHERE, name: "OTHER" });
    const nested = held(`<${other.placeholder.text}>`, { ...EVERYWHERE, name: "NESTED" });
    const head = request("/", field("A", nested.placeholder.text + other.placeholder.text));
    expect(sent(head, nested, other)).toEqual(["/", `A: <${other.placeholder.text}>x`]);
    // Halves that only meet because of what was put between them are no placeholder either.
    const [half, rest] = [ph.slice(0, 20), ph.slice(20)];
    expect(sent(request("/", field("A", half + other.placeholder.text + rest)), key, other))
      .toEqual(["/", `A: ${half}x${rest}`]);
  });
});

test.each(["pa$&ss", "$1$`$'$$", "a\\b", "%s", "p\u00e4ss \ud83d\udd11", "a:b"])(
  "%p arrives as it is",
  (value) => {
    const key = held(value, EVERYWHERE);
    const { text } = key.placeholder;
    const head = request(
      `/?k=${text}`,
      field("Authorization", `Bearer ${text}`),
      field("Proxy-Authorization", `Basic ${base64("u:" + text)}`),
    );
    expect(sent(head, key)).toEqual([
      `/?k=${
        encodeURIComponent(value).replace(/[!'()*]/g, (one) =>
          "%" + one.charCodeAt(0).toString(16).toUpperCase())
      }`,
      `Authorization: Bearer ${wire(value)}`,
      `Proxy-Authorization: Basic ${base64("u:" + value)}`,
    ]);
  },
);

test("a list of fields widens and narrows where the value goes", () => {
  const key = held(REAL, { headers: { kind: "listed", keys: new Set(["x-mine"]) } });
  const { text } = key.placeholder;
  const head = request("/", field("X-Mine", text), field("Authorization", `Bearer ${text}`));
  expect(sent(head, key)).toEqual(["/", `X-Mine: ${REAL}`, `Authorization: Bearer ${text}`]);
});

test("a place that is off is off, and others are not", () => {
  for (const off of ["header", "basic", "query", "path"] as const) {
    const places = new Set(PLACES.filter((place) => place !== off));
    const key = held(REAL, { places });
    const { text } = key.placeholder;
    const head = request(
      `/${text}?${text}`,
      field("Authorization", `Basic ${base64(`:${text}`)}`),
      field("X-Api-Key", text),
    );
    const { used, inert } = substituted(head, key);
    expect(inert).toEqual([{ name: "API_KEY", place: off, count: 1 }]);
    expect(used.map(({ place }) => place).sort() as string[])
      .toEqual(["basic", "header", "path", "query"].filter((place) => place !== off));
  }
});

test("without grants a request stays as it is", () => {
  const { placeholder } = held(REAL);
  const head = request(`/?a=${placeholder.text}`, field("Authorization", placeholder.text));
  expect(substituteHead(head, [])).toMatchObject({ kind: "head", head, used: [], inert: [] });
});

test("a request full of placeholders is refused, and costs nothing", () => {
  const key = held("x".repeat(16_000));
  const most = Array.from({ length: 64 }, () => field("X-Api-Key", key.placeholder.text));
  expect(substituteHead(request("/", ...most), [grantOf(key)]).kind).toBe("head");
  const many = field("Cookie", key.placeholder.text.repeat(1_500));
  expect(substituteHead(request("/", many), [grantOf(key)]))
    .toEqual({ kind: "refused", why: "too-many-values" });
});

test("an allowed host gets the request of a guest that has the values", () => {
  const { below, pick } = random(17);
  const letters = [..."abcXYZ019 +&=#%/?$`'\"\\:;,<>\u00e4\u20ac"];
  const word = (size: number) => Array.from({ length: size }, () => pick(letters)).join("");
  const strict = (text: string) =>
    encodeURIComponent(text).replace(
      /[!'()*]/g,
      (one) => "%" + one.charCodeAt(0).toString(16).toUpperCase(),
    );
  for (let round = 0; round < 2_000; round++) {
    const secrets = Array.from({ length: 1 + below(4) }, (_, n) =>
      held(`v${word(below(30))}v`, {
        ...EVERYWHERE,
        name: `KEY_${n}`,
        format: pick([null, null, "sk-*", "AKIA*"]),
      }));
    // One request as a function of the keys that its guest has.
    const shapes = Array.from({ length: 1 + below(6) }, () => below(8));
    const texts = shapes.map(() => word(below(12)));
    const which = shapes.map(() => below(secrets.length));
    const build = (keys: readonly string[]): RequestHead => {
      let target = "/p";
      const fields: HeadField[] = [];
      for (const [n, shape] of shapes.entries()) {
        const key = keys[which[n] ?? 0] ?? "";
        const text = texts[n] ?? "";
        if (shape === 0) fields.push(field("Authorization", `Bearer ${wire(key)}`));
        if (shape === 1) fields.push(field("Authorization", `Basic ${base64(`${text}:${key}`)}`));
        if (shape === 2) fields.push(field("X-Any", wire(text + key + text + key)));
        if (shape === 3) target += (target.includes("?") ? "&" : "?") + `k=${strict(key + text)}`;
        if (shape === 4) target += `/${strict(text + key)}`;
        if (shape === 5) fields.push(field("Cookie", wire(`a=${key}; b=${text}`)));
        if (shape === 6) fields.push(field("Host", wire(text)));
        if (shape === 7) fields.push(field("Proxy-Authorization", `Basic ${base64(key)}`));
      }
      return request(target, ...fields);
    };
    const { head } = substituted(
      build(secrets.map(({ placeholder }) => placeholder.text)),
      ...secrets,
    );
    const plain: RequestHead = {
      ...head,
      fields: head.fields.map(({ name, value }) => field(name, value)),
    };
    expect(plain).toEqual(build(secrets.map(({ value }) => value.reveal())));
  }
}, 60_000);

test(
  "of 10,000 damaged requests each is one request still, with nothing but values changed",
  () => {
    const key = held("se/cret\u00e4 value", EVERYWHERE);
    const grant = grantOf(key);
    const { text } = key.placeholder;
    const percent = text.replace(/[^]/g, (one) => "%" + one.charCodeAt(0).toString(16));
    const corpus = [
      `/a/${text}?k=${percent}&l=${text}\nBearer ${text}\nBasic ${base64(`me:${text}`)}`,
      `/${percent}/%${text}%2\nBasic ${base64(text)}==\n${text}${text.slice(0, 9)}${text}`,
    ].map((one) => Buffer.from(one, "latin1"));
    let changed = 0;
    mutate(corpus, 10_000, (sample) => {
      const [target = "", ...values] = Buffer.from(sample).toString("latin1").split("\n");
      const head = request(target, ...values.map((value) => field("Authorization", value)));
      const result = substituteHead(head, [grant]);
      if (result.kind === "refused") return;
      const { head: out } = result;
      if (result.used.length > 0) changed++;
      expect(out.fields.length).toBe(head.fields.length);
      // A value adds nothing that a server would split a target or a head at.
      const marks = (of: string, kinds: string) =>
        [...of].filter((one) => kinds.includes(one)).join("");
      const shape = ({ target, fields }: RequestHead) => [
        marks(target, "/?&#\r\n"),
        ...fields.map(({ value }) => marks(value, "\r\n")),
      ];
      expect(shape(out)).toEqual(shape(head));
      expect(substituteHead(out, [])).toMatchObject({ head: out });
    });
    expect(changed).toBeGreaterThan(1_000);
  },
  60_000,
);

const SAMPLE = held("v".repeat(100), EVERYWHERE);

test.each([
  "a",
  "%",
  "%7",
  "%73",
  "sbx-placeholder-",
  SAMPLE.placeholder.text.slice(0, -1),
  "=",
  ";",
  " ",
])(
  "its work is linear in a run of %p",
  (run) => {
    const grant = grantOf(SAMPLE);
    for (
      const build of [
        (text: string) => request("/" + text),
        (text: string) => request("/?" + text),
        (text: string) => request("/", field("Authorization", text)),
        (text: string) => request("/", field("Authorization", "Basic " + text)),
        (text: string) => request("/", field("Authorization", "Basic " + base64(text))),
      ]
    ) {
      const { ratio } = growth(
        (size) => substituteHead(build(run.repeat(Math.ceil(size / run.length))), [grant]),
        { most: 1 << 16 },
      );
      expect(ratio).toBeLessThan(SUBQUADRATIC);
    }
  },
  60_000,
);

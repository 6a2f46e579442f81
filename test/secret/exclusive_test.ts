import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { foreignCredential } from "../../lib/secret/exclusive.ts";
import type { HeadField } from "../../lib/secret/substitute_head.ts";
import { growth, SUBQUADRATIC } from "../support/growth.ts";
import { mutate } from "../support/mutate.ts";
import { placeholderOf, secretOf } from "./held.ts";

const mine = placeholderOf();
const second = placeholderOf(secretOf({ format: "sk-ant-*" }));
const PH = mine.text;
const own = new Set([mine.text, second.text]);
const base64 = (text: string) => Buffer.from(text, "latin1").toString("base64");

const field = (name: string, value: string): HeadField => ({
  name,
  key: name.toLowerCase(),
  value,
});

function foreign(target: string, ...fields: HeadField[]) {
  const found = foreignCredential({ method: "GET", target, fields }, own);
  return found === null ? null : `${found.in} ${found.name}`;
}

describe("what is no credential, or a placeholder alone, is not foreign", () => {
  test.each<[string, string]>([
    ["Authorization", `Bearer ${PH}`],
    ["Authorization", `bearer  ${PH}`],
    ["Authorization", PH],
    ["Authorization", `Token token="${PH}"`],
    ["Authorization", `Token token=${PH}`],
    ["Authorization", `Bearer ${second.text}`],
    ["Authorization", `Basic ${PH}`],
    ["Authorization", `Basic ${base64(`me:${PH}`)}`],
    ["Authorization", `Basic ${base64(`${PH}:x-oauth-basic`)}`],
    ["Authorization", `Basic ${base64(PH)}`],
    ["Authorization", `Basic ${base64(`${PH}:${second.text}`)}`],
    ["Authorization", `Basic ${base64(`someone.with.a.long.name@example.com:${PH}`)}`],
    ["Authorization", `Basic ${base64(`AC0123456789abcdef0123456789abcdef:${PH}`)}`],
    ["Authorization", ""],
    ["X-Api-Key", PH],
    ["X-Api-Key", `"${PH}"`],
    ["Cookie", `session=${PH}; token="${second.text}"`],
    ["Cookie", `__cf_bm=abc.def; AWSALB=xyz; AWSALBCORS=xyz; session=${PH}; empty=`],
    ["User-Agent", "curl/8"],
    ["X-CSRF-Token", "0123456789abcdef"],
    ["Sec-WebSocket-Protocol", "graphql-transport-ws, v12.stomp"],
  ])("%s: %s", (name, value) => {
    expect(foreign("/", field(name, value))).toBeNull();
  });

  test.each([
    "/",
    "/v1?page=2&key=name&token=3&pageToken=CAEQAAxxxxxxxxxxxxxxxx",
    `/v1?api_key=${PH}&access_token=${second.text}`,
    `/v1?api_key=${PH.replace("-", "%2D")}`,
    "/v1?api_key=&password",
    "/api_key=abcdef",
    "/v1?q=api_key",
  ])("%s", (target) => {
    expect(foreign(target)).toBeNull();
  });
});

describe("everything else is", () => {
  test.each<[string, string]>([
    ["Authorization", "Bearer sk-of-the-guest"],
    ["authorization", "sk-of-the-guest"],
    ["Authorization", `Bearer ${PH}x`],
    ["Authorization", `Bearer x${PH}`],
    ["Authorization", `Bearer sk-of-the-guest ${PH}`],
    ["Authorization", `Bearer ${PH} sk-of-the-guest`],
    ["Authorization", `Bearer ${PH.toUpperCase()}`],
    ["Authorization", `Digest username="me", response="0", opaque="${PH}"`],
    ["Authorization", `AWS4-HMAC-SHA256 Credential=AKIA/x, Signature=${PH}`],
    ["Authorization", `Basic ${base64("me:password")}`],
    ["Authorization", `Basic ${base64(`me:${PH}x`)}`],
    ["Authorization", `Basic ${base64(`me:x:${PH}`)}`],
    ["Authorization", `Basic ${base64(`${PH}:ghp_0123456789abcdefghijABCDEFGHIJ012345`)}`],
    ["Authorization", `Basic ${base64(`ghp_0123456789abcdefghijABCDEFGHIJ012345:${PH}`)}`],
    ["Authorization", `Basic ${base64(`sk_live_0123456789abcdef01234567:${PH}`)}`],
    ["Authorization", "Basic"],
    ["Proxy-Authorization", "Bearer sk"],
    ["X-Api-Key", "sk"],
    ["X-Auth-Token", `${PH},sk`],
    ["Private-Token", "glpat"],
    ["X-Api-Key", `Basic ${base64(`me:${PH}`)}`],
    ["Sec-WebSocket-Protocol", "realtime, openai-insecure-api-key.sk-proj-of-the-guest-0123"],
  ])("%s: %s", (name, value) => {
    expect(foreign("/", field("Accept", "*/*"), field(name, value))).toBe(`field ${name}`);
    // A placeholder beside it makes it no better.
    expect(foreign("/", field("X-Api-Key", PH), field(name, value))).toBe(`field ${name}`);
  });

  test.each<[string, string]>([
    ["session=abc", "session"],
    [`session=${PH}; other=abc`, "other"],
    [`session=${PH}x`, "session"],
    ["abc", ""],
    ["__cf_bm_=abc", "__cf_bm_"],
  ])("Cookie: %s", (value, name) => {
    expect(foreign("/", field("Cookie", value))).toBe(`cookie ${name}`);
  });

  test.each<[string, string]>([
    ["/v1?api_key=abc", "api_key"],
    ["/v1?apiKey=abc", "apiKey"],
    ["/v1?a=1&access_token=abc", "access_token"],
    ["/v1?a=1;access_token=abc", "access_token"],
    ["/v1?access%5Ftoken=abc", "access_token"],
    ["/v1?a?password=x&password=x", "password"],
    ["/v1?key=AIzaSyA0123456789abcdef", "key"],
    ["/b/o?X-Amz-Algorithm=x&X-Amz-Credential=AKIA%2F2026", "X-Amz-Credential"],
    [`/v1?api_key=${PH}&api_key=abc`, "api_key"],
    [`/v1?api_key=x${PH}`, "api_key"],
    ["/v1?sig=abc", "sig"],
  ])("%s", (target, name) => {
    expect(foreign(target, field("Authorization", `Bearer ${PH}`))).toBe(`parameter ${name}`);
  });
});

test("the placeholder of another host's secret is foreign", () => {
  const head = { method: "GET", target: "/", fields: [field("X-Api-Key", placeholderOf().text)] };
  expect(foreignCredential(head, new Set([mine.text]))).toEqual({ in: "field", name: "X-Api-Key" });
  expect(foreignCredential(head, new Set())).toEqual({ in: "field", name: "X-Api-Key" });
});

test("of 20,000 damaged credentials only those that are still a placeholder pass", () => {
  const corpus = [`Bearer ${PH}`, `Token token="${PH}"`, `Basic ${base64(`me:${PH}`)}`, PH];
  let passed = 0;
  mutate(corpus.map((one) => Buffer.from(one)), 20_000, (sample) => {
    const value = Buffer.from(sample).toString("latin1");
    if (value === "" || foreign("/", field("Authorization", value)) !== null) return;
    passed++;
    const plain = value + Buffer.from(value.slice(value.indexOf(" ")), "base64").toString("latin1");
    expect(plain).toContain(PH);
  });
  expect(passed).toBeGreaterThan(20);
}, 60_000);

test.each(["a", "a ", "=", '"', ";", "&", "a=b;", "%41", "+", "key=", " ", "-", "aA"])(
  "its work is linear in a run of %p",
  (run) => {
    for (
      const build of [
        (text: string) => foreign("/", field("Authorization", text)),
        (text: string) => foreign("/", field("Authorization", "Basic " + text)),
        (text: string) => foreign("/", field("Cookie", "a=" + text)),
        (text: string) => foreign("/", field("Sec-WebSocket-Protocol", text)),
        (text: string) => foreign("/?" + text + "=" + text),
      ]
    ) {
      const { ratio } = growth((size) => build(run.repeat(Math.ceil(size / run.length))), {
        most: 1 << 16,
      });
      expect(ratio).toBeLessThan(SUBQUADRATIC);
    }
  },
  60_000,
);

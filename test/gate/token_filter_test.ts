/** What guests get of the answers of a token endpoint. */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import zlib from "node:zlib";
import { GateRefusal } from "../../lib/http/gate.ts";
import { withTokens } from "../../lib/secret/minted.ts";
import { API, held } from "../secret/held.ts";
import { gated, hear, requestOf, type Said, vaultOf } from "./answering.ts";

const APP = held("client-secret-1", { tokens: { hosts: [API], paths: ["/oauth/token"] } });
const ANSWER = {
  token_type: "Bearer",
  access_token: "ya29.access",
  expires_in: 3600,
  refresh_token: "1//refresh",
};
const JSON_TYPE = { "Content-Type": "application/json; charset=utf-8" };
const PLACEHOLDER = expect.stringMatching(/^sbx-placeholder-[a-z2-7]{26}$/);

let drawn = 0;
function asked(said: Said, target = "/oauth/token", host = API) {
  const draw = (count: number) => Uint8Array.from({ length: count }, () => drawn++ * 7 % 251);
  const vault = withTokens(vaultOf([APP]), draw);
  const request = requestOf({ method: "POST", target, authority: { host, port: 443 } });
  const { answer, uses } = gated(vault, request);
  return { ...hear(answer, said), uses, vault };
}

function refused(said: Said): unknown {
  try {
    return asked(said).content.toString();
  } catch (error) {
    if (error instanceof GateRefusal) return error.refusal;
    throw error;
  }
}

const pieces = (
  text: unknown,
) => [Buffer.from(typeof text === "string" ? text : JSON.stringify(text))];

test("the guest gets placeholders, and the vault keeps the tokens", () => {
  const { content, whole, uses, vault } = asked({ fields: JSON_TYPE, pieces: pieces(ANSWER) });
  const heard = JSON.parse(content.toString());
  expect(heard).toEqual({ ...ANSWER, access_token: PLACEHOLDER, refresh_token: PLACEHOLDER });
  expect(whole).toBe(true);
  const known = vault.known(API).map((
    { placeholder, value },
  ) => [placeholder.text, value.reveal()]);
  expect(known.slice(1)).toEqual([
    [heard.access_token, "ya29.access"],
    [heard.refresh_token, "1//refresh"],
  ]);
  expect(uses.map(({ name, what, place, count }) => [name, what, place, count])).toEqual([
    ["API_KEY.access_token", "masked", "body", 1],
    ["API_KEY.refresh_token", "masked", "body", 1],
  ]);
});

test.each([
  "/oauth/token?x=1",
  "//oauth/./token/",
  "/oauth/x/../token",
  "/OAuth/Token",
  "/oauth%2Ftoken",
  "/%6fauth/token;x=1",
  "/oauth\\token".replace("\\", "%5c"),
  "/oauth/%2574oken",
  "/oauth/token.json",
  "/oauth/token.JSON;x",
  "/oauth/token%2exml",
  "/oauth/%u0074oken",
  "/oauth%u002ftoken",
  "/oauth/token%20",
  "/oauth/x/..%20/token",
  "/oauth/token.",
  "/oauth/token%00.png",
  "/oauth%c0%aftoken",
  "/oauth%e0%80%aftoken",
  "/oauth%f0%80%80%aftoken",
  "/oauth%ef%bc%8ftoken",
  "/oauth%e2%88%95token",
  "/oauth/\xef\xbd\x94oken",
])("however its path is written: %s", (target) => {
  const { content } = asked({ fields: JSON_TYPE, pieces: pieces(ANSWER) }, target);
  expect(content.toString()).not.toContain("ya29.access");
});

test.each([
  ["/oauth/tokens", API],
  ["/", API],
  ["/oauth/token/x", API],
  [
    "/oauth/token.json/x",
    API,
  ],
  ["/oauth/token-json", API],
  ["/oauth.json", API],
  [
    "/oauth/token",
    "b.test",
  ],
])(
  "and nothing else is changed: %s of %s",
  (target, host) => {
    const { content } = asked({ fields: JSON_TYPE, pieces: pieces(ANSWER) }, target, host);
    expect(JSON.parse(content.toString())).toEqual(ANSWER);
  },
);

describe("an answer", () => {
  test.each<[what: string, said: Said]>([
    ["in chunks", {
      body: { kind: "unknown" },
      pieces: [...JSON.stringify(ANSWER)].map((one) => Buffer.from(one)),
    }],
    ["in gzip", {
      fields: { "Content-Encoding": "gzip" },
      pieces: [zlib.gzipSync(JSON.stringify(ANSWER))],
    }],
    ["of 201", { status: 201, pieces: pieces(ANSWER) }],
    ["of no type", { fields: { "Content-Type": "" }, pieces: pieces(ANSWER) }],
    ["of text", { fields: { "Content-Type": "text/plain" }, pieces: pieces(ANSWER) }],
    ["in a form", {
      fields: { "Content-Type": "application/x-www-form-urlencoded" },
      pieces: pieces("access_token=ya29.access&refresh_token=1%2F%2Frefresh&scope="),
    }],
    ["in a form that says it is text", {
      fields: { "Content-Type": "text/plain" },
      pieces: pieces("access_token=ya29.access&scope="),
    }],
    ["with a token by two names", {
      pieces: pieces({ access_token: "ya29.access", bearer: "Bearer ya29.access" }),
    }],
  ])("%s", (_, said) => {
    const fields: Record<string, string> = { ...JSON_TYPE, ...said.fields };
    if (fields["Content-Type"] === "") delete fields["Content-Type"];
    const { content } = asked({ ...said, fields });
    const text = fields["Content-Encoding"] === undefined ? content : zlib.gunzipSync(content);
    expect(text.toString()).not.toContain("ya29.access");
    expect(text.toString()).toContain("sbx-placeholder-");
  });

  test("that is an error passes, without the value in it", () => {
    const said = {
      status: 400,
      fields: { "Content-Type": "text/html" },
      pieces: pieces("<p>client-secret-1"),
    };
    expect(refused(said)).toBe(`<p>${APP.placeholder.text}`);
    expect(asked({ status: 204, body: { kind: "none" } }).content).toHaveLength(0);
    const pending = { fields: JSON_TYPE, pieces: pieces({ error: "authorization_pending" }) };
    expect(refused(pending)).toBe('{"error":"authorization_pending"}');
  });

  test.each<[what: string, said: Said]>([
    ["no JSON", { fields: JSON_TYPE, pieces: pieces("{'access_token':'ya29.access'}") }],
    ["a page", { fields: { "Content-Type": "text/html" }, pieces: pieces("<p>ya29.access</p>") }],
    ["bytes", { fields: { "Content-Type": "image/png" }, pieces: pieces("ya29.access") }],
    ["no text", { fields: JSON_TYPE, pieces: [Buffer.from('{"access_token":"\xff"}', "latin1")] }],
    ["in UTF-16", {
      fields: { "Content-Type": "application/json; charset=utf-16" },
      pieces: pieces(ANSWER),
    }],
    ["too long", {
      fields: JSON_TYPE,
      pieces: pieces({ access_token: "a", x: "x".repeat(300_000) }),
    }],
    ["a token that is no value", { fields: JSON_TYPE, pieces: pieces({ access_token: "a\nb" }) }],
  ])("that is %s goes no further", (_, said) => {
    expect(refused(said)).toMatchObject({ reason: "secret-unreadable" });
  });
});

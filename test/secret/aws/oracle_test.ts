/** What sbx signs is what Amazon's own client would have signed with the real keys. */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { askAws, type Keys, type Question } from "../../support/aws/aws.ts";
import { cut, random } from "../../support/random.ts";
import type { HeadField, RequestHead } from "../../../lib/secret/substitute_head.ts";
import { API } from "../held.ts";
import { heldPair, signedAgain } from "./pair.ts";

const USER: Keys = { id: "AKIAIOSFODNN7EXAMPLE", key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
const SESSION: Keys = {
  id: "ASIAIOSFODNN7EXAMPLE",
  key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
  token: `IQoJb3JpZ2luX2VjE${"a+/Z9".repeat(60)}==`,
};

const numbers = random(20_261_129);
const { below, pick } = numbers;

const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
const bytes = (count: number) => Buffer.from(Array.from({ length: count }, () => below(256)));
const piece = () =>
  Array.from(
    { length: 1 + below(6) },
    () => pick([..."abcXYZ019-._~", "%20", "%2F", "%C3%A9", "%25", "!", "'", "(", "*", "@", ":"]),
  ).join("");

function path(): string {
  return `/${Array.from({ length: below(5) }, piece).join("/")}${pick(["", "", "/"])}`;
}

function query(): string {
  const encoded = () =>
    encodeURIComponent(pick(["", "a", "a b", "é", "x=y&z", "+", "/", "~", "*'()", "B"]));
  const all = Array.from({ length: below(5) }, () => `${encoded() || "k"}=${encoded()}`);
  return all.length === 0 ? "" : `?${all.join("&")}`;
}

function fields() {
  const names = [
    "Content-Type",
    "X-Amz-Meta-A",
    "X-Amz-Target",
    "Range",
    "Accept-Encoding",
    "X-Id",
  ];
  return names.filter(() => below(3) === 0).map((name) => ({
    name,
    value: pick(["text/plain", "a  b   c", "\xe9\xe8", "a,b", "bytes=0-9", "identity", '"a  b"']),
  }));
}

function question(index: number): Omit<Question, "keys" | "ask"> {
  const service = pick(["s3", "s3", "dynamodb", "execute-api", "sts"]);
  const body = bytes(pick([0, 0, 1, 100]));
  const payload = service === "s3"
    ? pick([hash(body), "UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"])
    : hash(body);
  const stated = service === "s3" ? [{ name: "X-Amz-Content-Sha256", value: payload }] : [];
  return {
    method: pick(["GET", "PUT", "POST", "DELETE"]),
    host: pick([API, `${API}:8443`]),
    target: path() + query(),
    fields: [...fields(), ...stated],
    service,
    region: pick(["us-east-1", "eu-central-1"]),
    time: `202611${10 + index % 20}T0102${10 + below(50)}Z`,
    payload,
    body,
  };
}

/** Fields in the order of their names, as the oracle gives them. */
function plain({ method, target, fields }: RequestHead<HeadField>) {
  const all = fields.map(({ key, value }) => `${key}: ${value}`).sort();
  return { method, target, fields: all };
}

describe.each([["a user's keys", USER], ["a session's keys", SESSION]])("with %s", (_, real) => {
  const pair = heldPair(real);

  function compare(ask: Question["ask"], count: number): void {
    const all = Array.from({ length: count }, (_, index) => question(index));
    const both = askAws([
      ...all.map((one) => ({ ...one, ask, keys: pair.placeholders })),
      ...all.map((one) => ({ ...one, ask, keys: real })),
    ]);
    const checks: Question[] = [];
    for (const [index, one] of all.entries()) {
      const sent = both[index];
      const wanted = both[index + count];
      if (sent === undefined || wanted === undefined) throw new Error("no answer");
      expect([sent.error, wanted.error]).toEqual(["", ""]);
      const { host, body = Buffer.alloc(0) } = one;
      const result = signedAgain(pair, sent.head, { host, body });
      if (result.kind !== "signed") {
        throw new Error(`${JSON.stringify(result)} for ${sent.head.target}`);
      }
      expect(plain(result.head)).toEqual(plain(wanted.head));
      expect(result.body).toBeNull();
      checks.push({ ...one, ask: "check", keys: real, ...result.head });
    }
    expect(askAws(checks).map(({ error }) => error)).toEqual(checks.map(() => ""));
  }

  test("requests that are signed in a field", () => compare("sign", 100));

  test("requests that are signed in their query", () => {
    compare("presign", 100);
  });

  test("bodies whose chunks are signed, with and without trailers, however they are cut", () => {
    const all = [0, 1, 65_536, 200_001].flatMap((size) =>
      [[], [{ name: "x-amz-checksum-crc32c", value: "sOO8/Q==" }]].map((trailers) => ({
        ask: "chunks" as const,
        method: "PUT",
        host: API,
        target: "/bucket/a%20key",
        fields: [{ name: "Content-Type", value: "text/plain" }],
        region: "us-east-1",
        time: "20261129T010203Z",
        body: bytes(size),
        trailers,
      }))
    );
    const both = askAws([
      ...all.map((one) => ({ ...one, keys: pair.placeholders })),
      ...all.map((one) => ({ ...one, keys: real })),
    ]);
    for (const index of all.keys()) {
      const [sent, wanted] = [both[index], both[index + all.length]];
      if (sent === undefined || wanted === undefined) throw new Error("no answer");
      const result = signedAgain(pair, sent.head);
      if (result.kind !== "signed") throw new Error(result.kind);
      expect(plain(result.head)).toEqual(plain(wanted.head));
      const out = cut(sent.body, numbers).map((one) => result.body?.push(Buffer.from(one)));
      out.push(result.body?.end());
      expect(Buffer.concat(out.map((one) => one ?? Buffer.alloc(0))).equals(wanted.body)).toBe(
        true,
      );
    }
  });
});

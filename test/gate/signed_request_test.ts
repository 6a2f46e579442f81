/** Requests that a guest signed for AWS with placeholders, at its gate. */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { HASH_OF_NOTHING, sha256 } from "../../lib/secret/aws/canonical.ts";
import type { Secret } from "../../lib/policy/model/secret.ts";
import type { RequestHead } from "../../lib/secret/substitute_head.ts";
import { type HeldPair, heldPair } from "../secret/aws/pair.ts";
import { API, held } from "../secret/held.ts";
import { askAws, type Keys, type Question } from "../support/aws/aws.ts";
import { gateOf, told, TRUSTED } from "./kept.ts";
import { type Heard, pass, type Passage, type Said, type Version, VERSIONS } from "./passage.ts";

const REAL: Keys = {
  id: "ASIAIOSFODNN7EXAMPLE",
  key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
  token: "T0k3n/+".repeat(40),
};
const pair = heldPair(REAL);
const S3 = { service: "s3", region: "eu-central-1", time: "20261129T010203Z", host: API };

function signed(of: HeldPair, one: Partial<Question> & Pick<Question, "method" | "target">) {
  const { body = Buffer.alloc(0) } = one;
  const asked: Question = {
    ask: "sign",
    ...S3,
    fields: [],
    payload: sha256(body),
    keys: of.placeholders,
    ...one,
  };
  const [answer] = askAws([asked]);
  if (answer === undefined || answer.error !== "") throw new Error(answer?.error);
  return { head: answer.head, body: answer.body.length > 0 ? answer.body : Buffer.from(body) };
}

/** As a client says it, in pieces. */
function said(
  { head, body }: { readonly head: RequestHead; readonly body: Uint8Array },
  more: Partial<Said> = {},
): Said {
  const text = Buffer.from(body).toString("latin1");
  const half = Math.ceil(text.length / 2);
  const { method, target } = head;
  const fields = head.fields.filter(({ key }) => key !== "content-length")
    .map(({ key, value }) => [key, value] as const);
  const pieces = text === "" ? {} : { body: [text.slice(0, half), text.slice(half)] };
  return { method, target, fields, ...pieces, ...more };
}

/** What a server with the keys says of it; empty: nothing. */
function checked({ method, target, fields, length, body }: Heard): string {
  const stated = length === null ? [] : [["content-length", String(length)] as const];
  const [answer] = askAws([{
    ask: "check",
    keys: REAL,
    ...S3,
    method,
    target,
    fields: [...fields, ...stated].map(([name, value]) => ({ name, value })),
    body: Buffer.from(body, "latin1"),
  }]);
  return answer?.error ?? "no answer";
}

function holdsNone({ bytes }: Pick<Passage, "bytes">): boolean {
  return [REAL.key, ...Object.values(pair.placeholders)].every((one) => !bytes.includes(one));
}

async function through(version: Version, one: Said, of: HeldPair = pair) {
  const all = gateOf(of.held);
  const { heard, bytes, saw, exchanges } = await pass(version, all.gate, one);
  return { heard, bytes, saw, exchanges, uses: told(all), all };
}

const GET = signed(pair, {
  method: "GET",
  target: "/bucket/a%20key?list-type=2",
  fields: [{ name: "X-Amz-Content-Sha256", value: HASH_OF_NOTHING }],
});
const DYNAMO = signed(pair, {
  method: "POST",
  target: "/",
  service: "dynamodb",
  fields: [{ name: "Content-Type", value: "application/x-amz-json-1.0" }],
  body: Buffer.from('{"TableName":"a"}'),
});

/** Its length is not signed, and not stated. */
const UNSTATED = {
  ...signed(pair, {
    method: "POST",
    target: "/",
    service: "dynamodb",
    payload: sha256(DYNAMO.body),
  }),
  body: DYNAMO.body,
};

describe.each(VERSIONS)("in %s", (version) => {
  test("a signed request leaves with the signature of the keys", async () => {
    const { heard, saw, bytes, uses } = await through(version, said(GET));
    expect(saw).toBe("200");
    if (heard === null) throw new Error("nothing");
    expect(checked(heard)).toBe("");
    if (version === "HTTP/1") expect(holdsNone({ bytes })).toBe(true);
    expect(uses).toEqual(["AWS sent header 1"]);
  });

  test("so does a presigned one", async () => {
    const one = signed(pair, {
      ask: "presign",
      method: "GET",
      target: "/bucket/key?X-Amz-Expires=60",
      payload: "UNSIGNED-PAYLOAD",
    });
    const { heard, uses } = await through(version, said(one));
    if (heard === null) throw new Error("nothing");
    expect(checked(heard)).toBe("");
    expect(uses).toEqual(["AWS sent query 1"]);
  });

  test("a body whose hash nobody states is waited for", async () => {
    for (const one of [said(DYNAMO), said(UNSTATED, { stated: false })]) {
      const { heard, saw, uses } = await through(version, one);
      expect(saw).toBe("200");
      if (heard === null) throw new Error("nothing");
      expect(heard.body).toBe('{"TableName":"a"}');
      expect(checked(heard)).toBe("");
      expect(uses).toEqual(["AWS sent header 1"]);
    }
  });

  test("chunks of a body are signed again while they pass", async () => {
    const one = signed(pair, {
      ask: "chunks",
      method: "PUT",
      target: "/bucket/key",
      region: "eu-central-1",
      body: Buffer.alloc(60_000, "x"),
    });
    const { heard, saw } = await through(version, said(one));
    expect(saw).toBe("200");
    if (heard === null) throw new Error("nothing");
    expect(heard.length).toBe(one.body.length);
    expect(checked(heard)).toBe("");
    const spoilt = Buffer.from(one.body);
    spoilt[50_000] = 0x79;
    const { saw: seen, exchanges } = await through(version, said({ ...one, body: spoilt }));
    expect(seen).toBe("reset");
    expect(exchanges[0]?.refused).toMatchObject({ reason: "aws-signature" });
  });

  test.each<[string, Said, string]>([
    ["changed after it was signed", said(GET, { target: "/bucket/other" }), "403 aws-signature"],
    [
      "with another body than was signed",
      said({ ...DYNAMO, body: Buffer.from("{}") }),
      "reset",
    ],
    [
      "with a key of the guest's own",
      said(signed(heldPair(REAL), {
        method: "GET",
        target: "/",
        fields: [{ name: "X-Amz-Content-Sha256", value: HASH_OF_NOTHING }],
      })),
      // Of another sandbox, so that the tripwire does not know them either.
      "403 foreign-credential",
    ],
    [
      "with a cookie beside it",
      said(GET, {
        fields: [
          ...GET.head.fields.map(({ key, value }) => [key, value] as const),
          ["cookie", "session=abcdef0123456789"],
        ],
      }),
      "403 foreign-credential",
    ],
  ])("one %s goes nowhere", async (_, one, wanted) => {
    const { heard, saw, all } = await through(version, one);
    expect(heard).toBeNull();
    expect(saw).toBe(wanted);
    expect(all.uses).toEqual([]);
  });

  test("a request to a server that proved nothing keeps its placeholders", async () => {
    const all = gateOf(pair.held, { session: { ...TRUSTED, verified: false } });
    const { heard } = await pass(version, all.gate, said(GET));
    expect(heard?.fields.some(([, value]) => value.includes(pair.placeholders.id))).toBe(true);
    expect(all.uses.filter(({ what }) => what === "sent")).toEqual([]);
  });

  test("other secrets of the host come into its fields before it is signed, and into no body", async () => {
    const places: Partial<Secret> = { places: new Set(["header", "body"]) };
    const other = held("other-value", { name: "OTHER", ...places });
    const text = other.placeholder.text;
    const one = signed(pair, {
      method: "PUT",
      target: "/bucket/key",
      fields: [
        { name: "X-Api-Key", value: text },
        { name: "Content-Type", value: "text/plain" },
        { name: "X-Amz-Content-Sha256", value: sha256(Buffer.from(text)) },
      ],
      body: Buffer.from(text),
    });
    const all = gateOf([...pair.held, other]);
    const { heard } = await pass(version, all.gate, said(one));
    if (heard === null) throw new Error("nothing");
    expect(heard.fields).toContainEqual(["x-api-key", "other-value"]);
    expect(heard.body).toBe(text);
    expect(checked(heard)).toBe("");
    expect(told(all).sort()).toEqual([
      "AWS sent header 1",
      "OTHER inert body 1",
      "OTHER sent header 1",
    ]);
  });
});

test("a body that would have to be asked for first is not waited for", async () => {
  const { fields = [] } = said(DYNAMO);
  const { heard, saw } = await through(
    "HTTP/1",
    said(DYNAMO, { fields: [...fields, ["expect", "100-continue"]] }),
  );
  expect(heard).toBeNull();
  expect(saw).toBe("403 aws-signature");
});

/** Which requests are signed again, and which are not; and the examples that Amazon publishes. */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import {
  canonicalRequest,
  HASH_OF_NOTHING,
  sha256,
  SigningKey,
  SPELLINGS,
} from "../../../lib/secret/aws/canonical.ts";
import { readSignature, withoutSignature } from "../../../lib/secret/aws/signature.ts";
import { foreignCredential } from "../../../lib/secret/exclusive.ts";
import type { HeadField, RequestHead } from "../../../lib/secret/substitute_head.ts";
import { askAws, headField, type Keys, type Question } from "../../support/aws/aws.ts";
import { growth, SUBQUADRATIC } from "../../support/growth.ts";
import { mutate } from "../../support/mutate.ts";
import { random } from "../../support/random.ts";
import { API } from "../held.ts";
import { type HeldPair, heldPair, signedAgain } from "./pair.ts";

const REAL: Keys = { id: "AKIAIOSFODNN7EXAMPLE", key: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" };
const TOKEN = { ...REAL, id: "ASIAIOSFODNN7EXAMPLE", token: `${"T0k3n/+".repeat(40)}==` };

const COMMON = {
  method: "GET",
  host: API,
  target: "/bucket/key",
  fields: [{ name: "X-Amz-Content-Sha256", value: HASH_OF_NOTHING }],
  service: "s3",
  region: "us-east-1",
  time: "20261129T010203Z",
  payload: HASH_OF_NOTHING,
};

function signed(pair: HeldPair, changes: Partial<Question> = {}): RequestHead {
  const [one] = askAws([{ ask: "sign", ...COMMON, keys: pair.placeholders, ...changes }]);
  if (one === undefined || one.error !== "") throw new Error(one?.error);
  return one.head;
}

const pair = heldPair(REAL);
const HEAD = signed(pair);
const PRESIGNED = signed(pair, { ask: "presign", fields: [], payload: "UNSIGNED-PAYLOAD" });

function changed(head: RequestHead, key: string, to: (value: string) => string): RequestHead {
  return {
    ...head,
    fields: head.fields.map((one) => one.key === key ? { ...one, value: to(one.value) } : one),
  };
}

const authorization = (to: (value: string) => string) => changed(HEAD, "authorization", to);

describe("the examples of S3's documentation", () => {
  const key = new SigningKey(REAL.key, { date: "20130524", region: "us-east-1", service: "s3" });
  const host = "examplebucket.s3.amazonaws.com";
  const date = headField("x-amz-date", "20130524T000000Z");
  const hash = (of: string) => headField("x-amz-content-sha256", of);

  test.each<[string, RequestHead, string, string]>([
    [
      "a part of an object",
      {
        method: "GET",
        target: "/test.txt",
        fields: [headField("Range", "bytes=0-9"), hash(HASH_OF_NOTHING), date],
      },
      HASH_OF_NOTHING,
      "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
    ],
    [
      "an object to store",
      {
        method: "PUT",
        target: "/test$file.text",
        fields: [
          headField("Date", "Fri, 24 May 2013 00:00:00 GMT"),
          hash(sha256("Welcome to Amazon S3.")),
          date,
          headField("x-amz-storage-class", "REDUCED_REDUNDANCY"),
        ],
      },
      sha256("Welcome to Amazon S3."),
      "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
    ],
    [
      "a parameter without a value",
      { method: "GET", target: "/?lifecycle", fields: [hash(HASH_OF_NOTHING), date] },
      HASH_OF_NOTHING,
      "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
    ],
    [
      "two parameters",
      { method: "GET", target: "/?max-keys=2&prefix=J", fields: [hash(HASH_OF_NOTHING), date] },
      HASH_OF_NOTHING,
      "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
    ],
    [
      "a presigned query",
      {
        method: "GET",
        target: "/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE" +
          "%2F20130524%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z" +
          "&X-Amz-Expires=86400&X-Amz-SignedHeaders=host",
        fields: [],
      },
      "UNSIGNED-PAYLOAD",
      "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404",
    ],
  ])("%s", (_, head, payload, wanted) => {
    const keys = ["host", ...head.fields.map(({ key }) => key)].sort();
    const signatures = SPELLINGS.map((spelling) =>
      key.signRequest(
        { time: "20130524T000000Z" },
        canonicalRequest({ ...head, host }, keys, payload, spelling),
      )
    );
    expect(signatures).toContain(wanted);
  });
});

describe("a request that the guest signed", () => {
  test("is signed again: what it says is the same, and who says it is not", () => {
    const result = signedAgain(pair, HEAD);
    if (result.kind !== "signed") throw new Error(result.kind);
    expect([result.name, result.place]).toEqual(["AWS", "header"]);
    const text = JSON.stringify(result.head);
    expect(text).toContain(REAL.id);
    for (const gone of [REAL.key, ...Object.values(pair.placeholders)]) {
      expect(text).not.toContain(gone);
    }
    const field = result.head.fields.find(({ key }) => key === "authorization");
    expect(field?.sensitive).toBe(true);
    const rest = (head: RequestHead) => head.fields.filter(({ key }) => key !== "authorization");
    expect(rest(result.head)).toEqual(rest(HEAD));
  });

  test("gets the token that the pair has now, whatever it had when the guest began", () => {
    const session = heldPair(TOKEN);
    const [id, key] = session.held;
    const [, , token] = heldPair(TOKEN).held;
    if (id === undefined || key === undefined || token === undefined) throw new Error();
    const withoutOne = { ...session, held: [id, key] };
    for (const ask of ["sign", "presign"] as const) {
      const withToken = signed(session, { ask });
      const gone = signedAgain(withoutOne, withToken);
      if (gone.kind !== "signed") throw new Error(gone.kind);
      const { token: _, ...guest } = session.placeholders;
      const without = signed({ ...session, placeholders: guest }, { ask });
      const added = signedAgain(session, without);
      if (added.kind !== "signed") throw new Error(added.kind);
      const checks = [[gone.head, { id: TOKEN.id, key: TOKEN.key }], [added.head, TOKEN]] as const;
      const answers = askAws(
        checks.map(([head, keys]) => ({ ...COMMON, ask: "check", keys, ...head })),
      );
      expect(answers.map(({ error }) => error)).toEqual(["", ""]);
      expect(JSON.stringify([gone.head, added.head])).not.toContain(
        session.placeholders.token ?? "",
      );
    }
  });

  test("is what its server checks, also where sbx changed what was signed", () => {
    const host = headField("Accept-Encoding", "gzip, zstd");
    const sent = signed(pair, { fields: [host, ...COMMON.fields] });
    const narrowed = changed(sent, "accept-encoding", () => "gzip");
    const result = signedAgain(pair, sent, { changed: narrowed });
    if (result.kind !== "signed") throw new Error(result.kind);
    expect(JSON.stringify(result.head)).not.toContain("zstd");
    const [answer] = askAws([{ ...COMMON, ask: "check", keys: REAL, ...result.head }]);
    expect(answer?.error).toBe("");
  });

  test("without a word on its body waits for that, and is of no other", () => {
    const body = Buffer.from('{"TableName":"a"}');
    const payload = sha256(body);
    for (const ask of ["sign", "presign"] as const) {
      const sent = signed(pair, { ask, method: "POST", service: "dynamodb", fields: [], payload });
      expect(signedAgain(pair, sent)).toEqual({ kind: "wanting", name: "AWS" });
      const result = signedAgain(pair, sent, { body });
      if (result.kind !== "signed") throw new Error(result.kind);
      const other = signedAgain(pair, sent, { body: Buffer.from("{}") });
      expect(other.kind).toBe("refused");
    }
  });

  test.each<[string, RequestHead, string]>([
    ["another path", { ...HEAD, target: "/bucket/other" }, "changed"],
    ["another method", { ...HEAD, method: "DELETE" }, "changed"],
    ["a parameter more", { ...HEAD, target: "/bucket/key?acl" }, "changed"],
    ["another date", changed(HEAD, "x-amz-date", (time) => time.replace("03Z", "04Z")), "changed"],
    [
      "another signature",
      authorization((text) => text.replace(/.$/, (end) => end === "0" ? "1" : "0")),
      "changed",
    ],
    [
      "a date that its scope has not",
      changed(HEAD, "x-amz-date", (time) => time.replace("2026", "2027")),
      "two dates",
    ],
    [
      "no date",
      { ...HEAD, fields: HEAD.fields.filter(({ key }) => key !== "x-amz-date") },
      "X-Amz-Date",
    ],
    ["no host", authorization((text) => text.replace("host;", "")), "host"],
    ["a part twice", authorization((text) => `${text}, Signature=${"0".repeat(64)}`), "twice"],
    ["a part that is none", authorization((text) => `${text}, Else=1`), "other parts"],
    [
      "signed fields in other letters",
      authorization((text) => text.replace("host;", "Host;")),
      "fields",
    ],
    [
      "version 4a",
      authorization((text) => text.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256")),
      "4a",
    ],
    [
      "signed events",
      changed(HEAD, "x-amz-content-sha256", () => "STREAMING-AWS4-HMAC-SHA256-EVENTS"),
      "cannot make",
    ],
    ["two hashes", {
      ...HEAD,
      fields: [...HEAD.fields, headField("x-amz-content-sha256", "0".repeat(64))],
    }, "two hashes"],
    ["a presigned query as well", { ...HEAD, target: PRESIGNED.target }, "more than one"],
    ["a parameter twice", {
      ...PRESIGNED,
      target: `${PRESIGNED.target}&X-Amz-Date=20261129T010203Z`,
    }, "twice"],
    ["a parameter in other letters", {
      ...PRESIGNED,
      target: PRESIGNED.target.replace("X-Amz-Date", "x-amz-date"),
    }, "letters"],
    ["longer than it was signed for", {
      ...PRESIGNED,
      target: `${PRESIGNED.target}&X-Amz-Expires=9999999`,
    }, "changed"],
  ])("with %s is refused", (_, head, why) => {
    const result = signedAgain(pair, head);
    expect(result).toMatchObject({ kind: "refused" });
    if (result.kind === "refused") expect(result.why).toContain(why);
  });

  test("for another host than it is sent to is refused", () => {
    expect(signedAgain(pair, HEAD, { host: "evil.test" }).kind).toBe("refused");
    const elsewhere = { host: "evil.test", body: Buffer.alloc(0) };
    expect(signedAgain(pair, PRESIGNED, elsewhere).kind).toBe("refused");
    expect(signedAgain(pair, PRESIGNED).kind).toBe("signed");
  });

  test("is bound to the regions and services of the declaration", () => {
    for (
      const [aws, allowed] of [
        [{ regions: ["us-east-1"], services: ["s3"] }, true],
        [{ regions: ["eu-west-1"] }, false],
        [{ services: ["dynamodb", "sts"] }, false],
      ] as const
    ) {
      const bound = heldPair(REAL, aws);
      expect(signedAgain(bound, signed(bound)).kind).toBe(allowed ? "signed" : "refused");
    }
  });
});

describe("a request with no signature of this pair is none of its business", () => {
  test.each<[string, RequestHead]>([
    ["unsigned", { ...HEAD, fields: HEAD.fields.filter(({ key }) => key !== "authorization") }],
    ["with other keys", signed(heldPair(REAL))],
    ["with another scheme", authorization(() => "Bearer abc")],
    ["with something like it", authorization(() => "AWS4-HMAC-SHA256 abc")],
  ])("%s", (_, head) => {
    expect(signedAgain(pair, head)).toEqual({ kind: "none" });
  });

  test("nor is one to a host that may not have the keys", () => {
    expect(signedAgain({ ...pair, held: pair.held.slice(0, 1) }, HEAD)).toEqual({ kind: "none" });
  });
});

describe("credentials of the guest's own beside a signature", () => {
  const own = (of: HeldPair) => new Set(of.held.map(({ placeholder }) => placeholder.text));
  const foreign = (of: HeldPair, head: RequestHead) => {
    const read = readSignature(head);
    const ours = read.kind === "signed" && read.signature.id === of.placeholders.id;
    return foreignCredential(ours ? withoutSignature(head, read.signature) : head, own(of));
  };

  test("are found, and the signature of the pair is none", () => {
    const session = heldPair(TOKEN);
    for (const ask of ["sign", "presign"] as const) {
      const head = signed(session, { ask });
      expect(foreign(session, head)).toBeNull();
      expect(foreign(session, signed(heldPair(TOKEN), { ask }))).not.toBeNull();
      const more = [...head.fields, headField("X-Api-Key", "abcdefghijklmnop")];
      expect(foreign(session, { ...head, fields: more })).not.toBeNull();
      const target = `${head.target}${
        head.target.includes("?") ? "&" : "?"
      }api_key=abcdefghijklmnop`;
      expect(foreign(session, { ...head, target })).not.toBeNull();
      const { token: _, ...keys } = session.placeholders;
      const carried = { ...session, placeholders: { ...keys, token: "guest".repeat(10) } };
      expect(foreign(session, signed(carried, { ask }))).not.toBeNull();
    }
  });
});

test("whatever a head says, there is an answer, and never the secret key", () => {
  const { below } = random(11);
  const bytes = (text: string) => Buffer.from(text, "latin1");
  for (const head of [HEAD, PRESIGNED]) {
    for (const [index, field] of [...head.fields, null].entries()) {
      mutate([bytes(field?.value ?? head.target)], field === null ? 500 : 100, (sample) => {
        const damaged = Buffer.from(sample).toString("latin1");
        const fields: HeadField[] = head.fields.map((one, at) =>
          at === index ? { ...one, value: damaged } : one
        );
        const target = field === null ? damaged : head.target;
        const body = below(2) === 0 ? {} : { body: Buffer.alloc(0) };
        const result = signedAgain(pair, { ...head, target, fields }, body);
        expect(JSON.stringify(result)).not.toContain(REAL.key);
        if (result.kind === "refused") expect(result.why).not.toContain(REAL.id);
      });
    }
  }
});

test("a target of nothing but parameters and steps costs what its length does", () => {
  for (const unit of ["&a=b", "/..", "+%"]) {
    const { ratio } = growth((size) => {
      const target = PRESIGNED.target + unit.repeat(size / unit.length);
      signedAgain(pair, { ...PRESIGNED, target }, { body: Buffer.alloc(0) });
      signedAgain(pair, { ...HEAD, target: `/${unit.repeat(size / unit.length)}` });
    }, { most: 32_768 });
    expect(ratio).toBeLessThan(SUBQUADRATIC);
  }
});

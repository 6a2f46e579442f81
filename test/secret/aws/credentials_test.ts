import { expect, test } from "bun:test";
import fc from "fast-check";
import { SbxError } from "../../../lib/base/errors.ts";
import { readPrintedPair, readSharedCredentials } from "../../../lib/secret/aws/credentials.ts";

const KEYS = { AccessKeyId: "AKIAID", SecretAccessKey: "hunter2-key" };

test("what a credential_process and sts print is a pair, with its token and end where it has them", () => {
  const read = (value: unknown) => readPrintedPair("AWS", JSON.stringify(value));
  expect(read({ Version: 1, ...KEYS })).toEqual({ texts: ["AKIAID", "hunter2-key", null] });
  expect(read({ Version: 1, ...KEYS, SessionToken: "" }).texts[2]).toBeNull();
  const lasting = {
    ...KEYS,
    SessionToken: "hunter2-token",
    Expiration: "2026-11-29T17:00:00+00:00",
  };
  const texts = ["AKIAID", "hunter2-key", "hunter2-token"];
  const expires = new Date(Date.UTC(2026, 10, 29, 17));
  expect(read({ Version: 1, ...lasting })).toEqual({ texts, expires });
  expect(read({ Credentials: lasting, AssumedRoleUser: {} })).toEqual({ texts, expires });
});

test.each([
  "",
  "hunter2",
  "null",
  "[]",
  '{"Credentials": null}',
  '{"Credentials": "hunter2"}',
  JSON.stringify({ Version: 2, ...KEYS }),
  JSON.stringify({ AccessKeyId: "AKIAID" }),
  JSON.stringify({ ...KEYS, SecretAccessKey: 7 }),
  JSON.stringify({ ...KEYS, SessionToken: ["hunter2"] }),
  JSON.stringify({ ...KEYS, Expiration: "tomorrow" }),
  JSON.stringify({ ...KEYS, Expiration: 1795971600 }),
  `{"Credentials":`.repeat(20_000),
])("%p is none, which is said without repeating it", (printed) => {
  try {
    readPrintedPair("AWS", printed);
    throw new Error("was taken");
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    expect(error.code).toBe("SECRET_UNAVAILABLE");
    expect(`${error.message} ${error.hint}`).not.toContain("hunter2");
  }
});

const FILE = `# of mine
[default]
aws_access_key_id = AKIADEFAULT
aws_secret_access_key=a=b+c/d==
# aws_session_token = commented
s3 =
  max_concurrent_requests = 20

[profile build]\r
  aws_access_key_id=ASIABUILD\r
  AWS_SECRET_ACCESS_KEY = key\r
  aws_session_token = token\r

[empty]
region = eu-west-1
[half]
aws_access_key_id = AKIAHALF
`;

test("a profile of a file with shared credentials is a pair, and no other's keys are taken", () => {
  expect(readSharedCredentials("AWS", "default", FILE)).toEqual({
    texts: ["AKIADEFAULT", "a=b+c/d==", null],
  });
  expect(readSharedCredentials("AWS", "build", FILE)).toEqual({
    texts: ["ASIABUILD", "key", "token"],
  });
  for (
    const [profile, says] of [
      ["empty", 'no keys in its profile "empty"'],
      ["half", 'no keys in its profile "half"'],
      ["none", 'no profile "none"'],
      ["profile build", 'no profile "profile build"'],
    ] as const
  ) {
    const read = () => readSharedCredentials("AWS", profile, FILE);
    expect(read, profile).toThrow(`Cannot read secret AWS: the file has ${says}`);
  }
});

test("any text is a pair or the declared error", () => {
  const piece = fc.constantFrom(
    "[default]",
    "[",
    "]",
    "\n",
    "=",
    " ",
    "aws_access_key_id",
    "x",
    "\0",
  );
  fc.assert(
    fc.property(fc.array(piece).map((all) => all.join("")), (text) => {
      for (
        const read of [
          () => readSharedCredentials("AWS", "default", text),
          () => readPrintedPair("AWS", text),
        ]
      ) {
        try {
          read();
        } catch (error) {
          expect(error).toBeInstanceOf(SbxError);
        }
      }
    }),
    { seed: 12 },
  );
});

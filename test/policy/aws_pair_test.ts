/** How a pair of AWS keys is declared, as a line and in a file, and what a guest has of it. */
import { describe, expect, test } from "bun:test";
import { readSecretEntry, spellSecret } from "../../lib/policy/file/secret_entry.ts";
import { secretEntry } from "../../lib/policy/file/secret_shape.ts";
import { parsePolicyFile } from "../../lib/policy/file/load.ts";
import { partsOf, sourceVariablesOf, variablesOf } from "../../lib/policy/model/aws_pair.ts";
import type { Secret } from "../../lib/policy/model/secret.ts";
import {
  gatherSecrets,
  parseAwsSecret,
  parseSecret,
} from "../../lib/policy/text/secret_declaration.ts";
import { secretText } from "../../lib/policy/text/secret_text.ts";

const S3 = "s3.eu-central-1.amazonaws.com";
const VARIABLES = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"];

function fault(read: () => unknown): string {
  try {
    read();
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  return "none";
}

describe("a line", () => {
  test("names what variables begin with, and who requests are signed for", () => {
    const pair = parseAwsSecret(`AWS@${S3},*.example.com`);
    expect(pair).toMatchObject({
      name: "AWS",
      source: { kind: "env", variable: "AWS" },
      hosts: [S3, ".example.com"],
      places: new Set(),
      aws: { profile: "default", regions: [], services: [] },
    });
    expect(variablesOf(pair)).toEqual(VARIABLES);
    expect(sourceVariablesOf(pair)).toEqual(VARIABLES);
    expect(secretText(pair)).toBe(`AWS: ${S3}, *.example.com (AWS signatures)`);
  });

  test("says where the keys are read", () => {
    const source = (text: string) => {
      const { source, aws } = parseAwsSecret(`AWS=${text}@${S3}`);
      return [source, aws?.profile];
    };
    expect(source("env:PROD")).toEqual([{ kind: "env", variable: "PROD" }, "default"]);
    expect(source("file:~/.aws/credentials")).toEqual([
      { kind: "file", path: "~/.aws/credentials" },
      "default",
    ]);
    expect(source("file:/a#b/c#my work")).toEqual([{ kind: "file", path: "/a#b/c" }, "my work"]);
    expect(source("cmd:aws x#y")).toEqual([{ kind: "cmd", command: "aws x#y" }, "default"]);
    expect(sourceVariablesOf(parseAwsSecret(`AWS=env:PROD@${S3}`))[0]).toBe("PROD_ACCESS_KEY_ID");
    expect(sourceVariablesOf(parseAwsSecret(`AWS=cmd:x@${S3}`))).toEqual([]);
  });

  test.each(["", "AWS", `AWS=AKIAIOSFODNN7EXAMPLE@${S3}`, `AWS=file:/a#@${S3}`, "AWS@1.2.3.4"])(
    "%j is refused, and not repeated",
    (text) => {
      const said = fault(() => parseAwsSecret(text));
      expect(said).toStartWith("Cannot read --secret-aws");
      expect(said).not.toContain("AKIA");
    },
  );
});

test("a guest has three secrets of it, of no place, and one of any other", () => {
  const pair = parseAwsSecret(`PROD@${S3}`);
  const parts = partsOf(pair);
  expect(parts.map(({ name, aws }) => [name, aws?.part?.kind, aws?.part?.of])).toEqual([
    ["PROD_ACCESS_KEY_ID", "id", "PROD"],
    ["PROD_SECRET_ACCESS_KEY", "key", "PROD"],
    ["PROD_SESSION_TOKEN", "token", "PROD"],
  ]);
  expect(parts.every(({ places }) => places.size === 0)).toBe(true);
  expect(parts.flatMap(partsOf)).toEqual([...parts]);
  const other = parseSecret(`TOKEN@${S3}`);
  expect(partsOf(other)).toEqual([other]);
});

test("no variable is two secrets', and a pair has neither places nor a form", () => {
  const pair = parseAwsSecret(`AWS@${S3}`);
  const one = (text: string) => parseSecret(`${text}@${S3}`);
  expect(gatherSecrets([pair, one("AWS_KEY"), parseAwsSecret(`B@${S3}`)])).toHaveLength(3);
  for (const name of ["AWS", ...VARIABLES]) {
    expect(fault(() => gatherSecrets([pair, one(name)]))).toContain("declared twice");
    expect(fault(() => gatherSecrets([one(name), pair]))).toContain("declared twice");
  }
  for (const detail of [{ format: "a*" }, { places: new Set(["body"] as const) }]) {
    expect(fault(() => gatherSecrets([pair], [{ name: "AWS", ...detail }]))).toContain("pair");
  }
});

describe("in a policy file", () => {
  const entries = (text: string): readonly Secret[] =>
    parsePolicyFile(`{default: deny, secrets: [${text}]}`, "/etc/sbx/policy.yaml").secrets.secrets;

  test("its file lies beside the policy's, and its variables are nobody else's", () => {
    const pair = `{name: AWS, hosts: [${S3}], source: "file:keys#work", aws: true}`;
    expect(entries(pair)).toMatchObject([
      { source: { kind: "file", path: "/etc/sbx/keys" }, aws: { profile: "work" } },
    ]);
    expect(entries(`${pair}, TOKEN@${S3}`)).toHaveLength(2);
    expect(fault(() => entries(`${pair}, AWS_ACCESS_KEY_ID@${S3}`))).toContain("declared twice");
  });

  test("it is spelled out, bound to regions and services, and reads back", () => {
    const bound = readSecretEntry({
      name: "AWS",
      hosts: [S3],
      source: "file:/c",
      aws: { profile: "work", regions: ["eu-central-1"], services: ["s3", "sts", "s3"] },
      methods: ["GET"],
      exclusive: false,
    });
    expect(bound.aws).toEqual({
      profile: "work",
      regions: ["eu-central-1"],
      services: ["s3", "sts"],
    });
    expect(secretText(bound)).toBe(
      `AWS: ${S3} (AWS signatures for s3 or sts in eu-central-1; only GET; beside other credentials)`,
    );
    for (
      const secret of [bound, parseAwsSecret(`AWS@${S3}`), parseAwsSecret(`A=file:/b#c@${S3}`)]
    ) {
      const spelt = spellSecret(secret);
      expect(secretEntry.parse(JSON.parse(JSON.stringify(spelt)))).toEqual(spelt);
      expect(readSecretEntry(spelt)).toEqual(secret);
    }
    expect(readSecretEntry({ name: "AWS", hosts: [S3], aws: true }))
      .toEqual(parseAwsSecret(`AWS@${S3}`));
  });

  test.each<[string, object]>([
    ["places", { aws: true, places: ["body"] }],
    ["headers", { aws: true, headers: "any" }],
    ["a form", { aws: true, format: "a*" }],
    ["no region", { aws: { regions: ["a b"] } }],
    ["no service", { aws: { services: ["s3/x"] } }],
    ["no profile", { aws: { profile: " a" } }],
  ])("with %s it is refused", (_, more) => {
    const shape = secretEntry.parse({ name: "AWS", hosts: [S3], ...more });
    expect(fault(() => readSecretEntry(shape))).not.toBe("none");
    expect(secretEntry.safeParse({ name: "AWS", hosts: [S3], aws: false }).success).toBe(false);
  });
});

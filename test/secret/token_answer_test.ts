import { Buffer } from "node:buffer";
import { describe, expect, test } from "bun:test";
import { replaceInForm, replaceInJson } from "../../lib/secret/token_answer.ts";
import { growth, SUBQUADRATIC } from "../support/growth.ts";
import { mutate } from "../support/mutate.ts";

const named = (kind: string, token: string) => `<${kind} ${token}>`;

describe("in JSON", () => {
  test.each<[text: string, expected: string | null]>([
    [
      '{"access_token":"a","expires_in":3600}',
      '{"access_token":"<access_token a>","expires_in":3600}',
    ],
    ['{ "refreshToken" : "r" }', '{ "refreshToken" : "<refresh_token r>" }'],
    [
      '{"id-token":"i","device_code":"d","token":"t"}',
      '{"id-token":"<id_token i>",' +
      '"device_code":"<device_code d>","token":"<token t>"}',
    ],
    ['{"user":{"access_token":"a"}}', '{"user":{"access_token":"<access_token a>"}}'],
    [
      '{"token":{"access_token":"a","x":"token"}}',
      '{"token":{"access_token":"<access_token a>","x":"token"}}',
    ],
    [
      '{"access_token":"a","access_token":"b"}',
      '{"access_token":"<access_token a>",' +
      '"access_token":"<access_token b>"}',
    ],
    ['{"\\u0061ccess_token":"\\u0061\\"b"}', '{"\\u0061ccess_token":"<access_token a\\"b>"}'],
    ['{"access_token":null,"scope":"token"}', '{"access_token":null,"scope":"token"}'],
    ['{"token":["a"],"b":"c"}', '{"token":["a"],"b":"c"}'],
    ['{"access_token":"","token_type":"bearer"}', '{"access_token":"","token_type":"bearer"}'],
    ['{"error":"access_token: \\"x\\""}', '{"error":"access_token: \\"x\\""}'],
    ['["access_token","a"]', '["access_token","a"]'],
    ['{"n":1.0,"big":12345678901234567890}', '{"n":1.0,"big":12345678901234567890}'],
    ['{"constructor":"a","__proto__":"b"}', '{"constructor":"a","__proto__":"b"}'],
    ["12", "12"],
    ['{"access_token":"a"', null],
    ["callback({})", null],
    ["", null],
    ["[".repeat(1 << 17), null],
  ])("%j", (text, expected) => {
    expect(replaceInJson(text, named)).toBe(expected);
  });

  test("what comes out of damaged ones is JSON, and has no token", () => {
    const corpus = ['{"access_token":"TOKEN","x":[{"refresh_token":"TOKEN"}],"y":"\\"\\\\"}'];
    let read = 0;
    mutate(corpus.map((text) => Buffer.from(text)), 3_000, (sample) => {
      const text = Buffer.from(sample).toString("latin1");
      const out = replaceInJson(text, () => "-");
      if (out === null) return;
      read++;
      expect(() => JSON.parse(out)).not.toThrow();
    });
    expect(read).toBeGreaterThan(100);
  });

  test.each(['"a",', '"a" : ', "\\\\", '{"token":"a"},', " "])(
    "its work is linear in %j",
    (run) => {
      const text = (size: number) => {
        const inside = run.repeat(Math.ceil(size / run.length));
        if (run === "\\\\") return `["${inside}"]`;
        return run.startsWith('"a" ') ? `{${inside.replaceAll(":", ":1,")}"b":1}` : `[${inside}1]`;
      };
      expect(replaceInJson(text(100), named)).not.toBeNull();
      const { ratio } = growth((size) => replaceInJson(text(size), named), { most: 1 << 18 });
      expect(ratio).toBeLessThan(SUBQUADRATIC);
    },
    60_000,
  );
});

test.each<[text: string, expected: string]>([
  ["access_token=a+b&scope=x", "access_token=%3Caccess_token%20a%20b%3E&scope=x"],
  ["a=1&refresh%5Ftoken=r", "a=1&refresh%5Ftoken=%3Crefresh_token%20r%3E"],
  ["access_token=&token", "access_token=&token"],
  ["error=access_token", "error=access_token"],
  ["token=%zz", "token=%3Ctoken%20%25zz%3E"],
  ["", ""],
])("in a form: %j", (text, expected) => {
  expect(replaceInForm(text, named)).toBe(expected);
});

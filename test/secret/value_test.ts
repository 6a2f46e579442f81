import { expect, test } from "bun:test";
import { inspect } from "node:util";
import { SbxError } from "../../lib/base/errors.ts";
import { MAX_VALUE, SecretValue } from "../../lib/secret/value.ts";

test.each([
  "x",
  "pa$&ss",
  'a"b\\c',
  "a b&c=d#e+f%2f",
  "tab\tinside",
  "påss wörd 🔑",
  "...",
  "k".repeat(MAX_VALUE),
])("%p is a value", (text) => {
  expect(SecretValue.of("KEY", text).reveal()).toBe(text);
});

test.each([
  ["", "its value is empty"],
  ["a\r\nX: y", "its value has more than one line"],
  ["hunter2\n", "its value has more than one line"],
  ["hunter2\r", "its value has more than one line"],
  ["hunter\u00002", "its value has control characters in it"],
  ["hunter\u007f2", "its value has control characters in it"],
  [" hunter2", "its value begins or ends with a blank"],
  ["hunter2\t", "its value begins or ends with a blank"],
  ["..", "its value is a dot or two"],
  ["hunter\ud8002", "its value is no text"],
  ["hunter2".repeat(3000), `its value is longer than ${MAX_VALUE} bytes`],
])("%p is refused, and not repeated", (text, state) => {
  try {
    SecretValue.of("KEY", text);
    expect.unreachable();
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    expect([error.code, error.message]).toEqual([
      "SECRET_INVALID",
      `Cannot use secret KEY: ${state}`,
    ]);
    expect(inspect(error)).not.toContain("hunter");
  }
});

test("a value is in nothing that is printed", () => {
  const value = SecretValue.of("KEY", "hunter2");
  const printed = [
    inspect(value, { depth: 9, showHidden: true }),
    inspect({ nested: [value] }, { depth: 9, showHidden: true }),
    JSON.stringify({ value }),
    `${value}`,
    Bun.inspect(value),
    Object.keys(value).join(),
    JSON.stringify(Object.getOwnPropertyDescriptors(value)),
  ];
  for (const text of printed) expect(text).not.toContain("hunter2");
  expect(() => structuredClone(value).reveal()).toThrow();
});

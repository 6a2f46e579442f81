import { expect, test } from "bun:test";
import fc from "fast-check";
import { SbxError } from "../../lib/base/errors.ts";
import { parseMoment, readPrinted } from "../../lib/secret/printed_value.ts";

test.each([
  ["ghp_abc", "ghp_abc"],
  ["ghp_abc\n", "ghp_abc"],
  ["ghp_abc\r\n", "ghp_abc"],
  ["two\nlines\n", "two\nlines"], // refused where the value is made
  ["{not json", "{not json"],
  ["{}", "{}"],
  ['{"key": "no value, no end"}', '{"key": "no value, no end"}'],
  ['{"value": "t"}', "t"],
  ['{"value": "t", "expires": null}', "t"],
  ['["value"]', '["value"]'],
])("%j is a value that lasts for one request", (printed, value) => {
  expect(readPrinted("API_KEY", printed)).toEqual({ texts: [value] });
});

test.each([
  ["1795971600", 1795971600_000],
  ["1795971600.5", 1795971600_500],
  ['"2026-11-29T17:00:00Z"', 1795971600_000],
  ['"2026-11-29t17:00:00.250z"', 1795971600_250],
  ['"2026-11-29 18:30:00+01:30"', 1795971600_000],
])("a value holds until %s", (expires, moment) => {
  const { texts, expires: read } = readPrinted("API_KEY", `{"value":"t","expires":${expires}}\n`);
  expect([...texts, read?.getTime()]).toEqual(["t", moment]);
});

test.each([
  '{"value": "hunter2"',
  '{"value": "hunter2"}}',
  '{"value": 12}',
  '{"value": ["hunter2"]}',
  '{"expires": 1795971600}',
  '{"value": "hunter2", "expires": "tomorrow"}',
  '{"value": "hunter2", "expires": "1795971600"}',
  '{"value": "hunter2", "expires": 1795971600000}',
  '{"value": "hunter2", "expires": -1}',
  '{"value": "hunter2", "expires": true}',
  '{"value": "hunter2", "expires": "2026-02-30T00:00:00Z"}',
  '{"value": "hunter2", "expires": "2026-11-29T17:00:00"}',
  '{"value": "hunter2", "expires": "2026-11-29"}',
  '{"value": ' + "[".repeat(60_000),
])("%p is malformed, which is said without repeating it", (printed) => {
  try {
    readPrinted("API_KEY", printed);
    throw new Error("was taken");
  } catch (error) {
    if (!(error instanceof SbxError)) throw error;
    expect(error.code).toBe("SECRET_UNAVAILABLE");
    expect(`${error.message} ${error.hint}`).not.toContain("hunter2");
    expect(error.message).toContain("API_KEY");
  }
});

test("a moment is read as the calendar has it, whatever is written there", () => {
  fc.assert(
    fc.property(fc.date({ min: new Date(0), max: new Date(4e12) }), (date) => {
      const text = date.toISOString();
      expect(parseMoment(text)).toBe(date.getTime());
      expect(parseMoment(text.replace("Z", "+00:00"))).toBe(date.getTime());
    }),
    { seed: 12 },
  );
  fc.assert(fc.property(fc.string(), (text) => void parseMoment(text)), { seed: 12 });
  for (const text of ["2025-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-11-29T24:30:00Z"]) {
    expect(parseMoment(text), text).toBeNull();
  }
  expect(parseMoment("2024-02-29T00:00:00Z")).toBe(Date.UTC(2024, 1, 29));
});

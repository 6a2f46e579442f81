/** What is done about placeholders that go astray, by the action that was asked for. */
import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import type { SbxError } from "../../lib/base/errors.ts";
import type { ViolationAction } from "../../lib/policy/model/secret.ts";
import { parseSecret } from "../../lib/policy/text/secret_declaration.ts";
import { Violations } from "../../lib/sandbox/violations.ts";
import type { SecretUse, SecretViolation } from "../../lib/secret/report.ts";
import { Tripwire } from "../../lib/secret/tripwire.ts";

const core = "abcdefghij234567abcdefghij";
const placeholder = { text: `sbx-placeholder-${core}`, core };
const secret = parseSecret("API_KEY@api.test");

function acting(onViolation: ViolationAction) {
  const seen = {
    recorded: [] as SecretViolation[],
    lines: [] as string[],
    ends: [] as SbxError[],
    refused: [] as (readonly [number, string | undefined])[],
    uses: [] as SecretUse[],
  };
  const tripwire = new Tripwire([{ name: "API_KEY", placeholder }]);
  const vault = { kept: [{ secret, placeholder }], onViolation, tripwire };
  const violations = new Violations(vault, {
    onViolation: (violation, action) => {
      expect(action).toBe(onViolation);
      seen.recorded.push(violation);
    },
    onDenial: ({ line }) => void seen.lines.push(line),
    terminate: (error) => void seen.ends.push(error),
    refuse: (id, { detail }) => void seen.refused.push([id, detail]),
    onUse: (_flow, use) => void seen.uses.push(use),
  });
  return { violations, ...seen };
}

const inBase64 = Buffer.from(Buffer.from(placeholder.text).toString("base64"));

test.each<[ViolationAction, number, number]>([
  ["block", 0, 0],
  ["block-and-log", 1, 0],
  ["block-and-terminate", 0, 1],
])("%s: %i line and %i end for many of a kind, and each is written down", (action, lines, ends) => {
  const { violations, ...seen } = acting(action);
  for (let flow = 1; flow <= 50; flow++) {
    const admit = violations.datagrams(flow, "evil.test");
    expect([admit(Buffer.from("fine")), admit(inBase64)]).toEqual([true, false]);
  }
  violations.close();
  expect([seen.recorded.length, seen.lines.length, seen.ends.length]).toEqual([50, lines, ends]);
  expect(seen.refused).toHaveLength(50);
  expect(seen.refused[0]).toEqual([1, "API_KEY in base64"]);
  const what = "a datagram to evil.test with the placeholder of API_KEY in base64";
  if (lines === 1) {
    expect(seen.lines[0]).toStartWith(`denied ${what}: secret-violation, it carries`);
  }
  if (ends === 1) {
    expect(seen.ends[0]).toMatchObject({
      code: "SECRET_VIOLATION",
      message: `Cannot go on: the guest sent ${what}`,
    });
  }
});

test("in a stream to its own host a placeholder is inert, to another it is not, however the stream is cut", () => {
  const { violations, ...seen } = acting("block");
  const text = Buffer.from(`login ${placeholder.text}\r\n`);
  const pieces = (admit: (bytes: Uint8Array) => boolean) =>
    [...text].map((byte) => admit(Buffer.of(byte)));
  expect(pieces(violations.stream(1, "api.test", "api.test"))).not.toContain(false);
  expect(seen.uses).toEqual([
    { name: "API_KEY", host: "api.test", what: "inert", place: "elsewhere", count: 1 },
  ]);
  expect(seen.recorded).toEqual([]);
  for (const host of ["evil.test", null]) {
    const admitted = pieces(violations.stream(2, "evil.test:993", host));
    // Up to its last byte nobody can know.
    expect(admitted.indexOf(false)).toBe(text.length - 3);
  }
  expect(seen.recorded.map(({ route, to }) => `${route} ${to}`))
    .toEqual(["stream evil.test:993", "stream evil.test:993"]);
});

test("what a guest chose is no escape sequence on a terminal", () => {
  const { violations, lines } = acting("block-and-log");
  violations.take({
    sightings: [{ name: "API_KEY", disguise: "plain", escapes: 2 }],
    route: "dns",
    to: "\u001b[2Jevil.test",
  });
  expect(lines[0]).toContain("evil.test with the placeholder of API_KEY escaped twice");
  expect(lines[0]).not.toContain("\u001b");
});

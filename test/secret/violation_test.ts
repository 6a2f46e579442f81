import { expect, test } from "bun:test";
import type { Sighting } from "../../lib/secret/tripwire.ts";
import { sortSightings } from "../../lib/secret/violation.ts";
import { secretOf } from "./held.ts";

const kept = [
  { secret: secretOf({ name: "A", hosts: ["a.test"] }) },
  { secret: secretOf({ name: "B", hosts: ["b.test", ".c.test"] }) },
];
const seen = (name: string): Sighting => ({ name, disguise: "plain", escapes: 0 });

test.each<[string | null, string[], string[]]>([
  ["a.test", ["B", "X"], ["A"]],
  ["b.test", ["A", "X"], ["B"]],
  ["x.c.test", ["A", "X"], ["B"]],
  ["x.a.test", ["A", "B", "X"], []],
  ["evil.test", ["A", "B", "X"], []],
  ["", ["A", "B", "X"], []],
  [null, ["A", "B", "X"], []],
])("on the way to %p, %j do not belong there and %j do", (host, violations, inert) => {
  const sorted = sortSightings([seen("A"), seen("B"), seen("X")], kept, host);
  expect(sorted.violations.map(({ name }) => name)).toEqual(violations);
  expect(sorted.inert.map(({ name }) => name)).toEqual(inert);
});

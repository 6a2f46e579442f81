import { expect, test } from "bun:test";
import { isHostOf } from "../../lib/policy/model/secret.ts";

test.each<[string, string, boolean]>([
  ["api.allowed.test", "api.allowed.test", true],
  ["api.allowed.test", "a.api.allowed.test", false],
  ["api.allowed.test", "allowed.test", false],
  [".allowed.test", "a.allowed.test", true],
  [".allowed.test", "a.b.allowed.test", true],
  [".allowed.test", "allowed.test", true],
  [".allowed.test", "evilallowed.test", false],
  [".allowed.test", "allowed.test.evil.test", false],
  [".allowed.test", "", false],
])("%s has %s: %p", (pattern, host, is) => {
  expect(isHostOf({ hosts: [pattern] }, host)).toBe(is);
  expect(isHostOf({ hosts: ["other.test", pattern] }, host)).toBe(is);
});

test("a secret without hosts goes nowhere", () => {
  expect(isHostOf({ hosts: [] }, "api.allowed.test")).toBe(false);
});

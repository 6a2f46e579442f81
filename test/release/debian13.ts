/** Where scripts/test-debian13 has moved to. What sbx does there, each_part.ts asks. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";

test("this is Debian 13", () => {
  expect(readFileSync("/etc/os-release", "utf8")).toMatch(/^VERSION_ID="13"$/m);
});

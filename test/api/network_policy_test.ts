import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { NetworkPolicy } from "../../lib/mod.ts";

const directory = mkdtempSync(join(tmpdir(), "sbx-api-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const FILE = `
default: deny
rules: [allow@api.example.com, allow@.shop.example]
dns: { block: ["@LIST", ads.example] }
expect:
  - allow tcp api.example.com:443
  - allow tcp listed.shop.example:443
  - deny tcp 10.0.0.5:5432
`;

test("a program tests a policy's expectations, with the lists that the policy points to", async () => {
  const list = join(directory, "list");
  writeFileSync(list, "listed.shop.example\n");
  const file = await NetworkPolicy.parse(FILE.replace("LIST", list), "shop.yaml");
  const names = await NetworkPolicy.blockedNames(file);
  expect(["listed.shop.example", "ads.example", "api.example.com"].map((name) => names.match(name)))
    .toEqual(["listed.shop.example", "ads.example", null]);
  const rows = await NetworkPolicy.test(file);
  expect(rows.map(({ passed }) => passed)).toEqual([true, false, true]);
});

test("a list that is not there is no empty list", async () => {
  const file = await NetworkPolicy.parse(FILE.replace("LIST", join(directory, "no")), "shop.yaml");
  for (const reading of [NetworkPolicy.blockedNames(file), NetworkPolicy.test(file)]) {
    expect(await reading.then(() => "read", ({ code }) => code)).toBe("FILE_UNREADABLE");
  }
});

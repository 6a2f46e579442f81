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

/** Where something stands in a file is the file's. */
function withoutPlaces(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (key, part) => key === "place" ? undefined : part));
}

test("a policy is spelled as a file has it, and reads back as it was", async () => {
  const list = join(directory, "list");
  writeFileSync(list, "listed.shop.example\n");
  const file = await NetworkPolicy.parse(FILE.replace("LIST", list), "shop.yaml");
  for (const options of [{}, { long: true }]) {
    const spelled = await NetworkPolicy.spell(file, options);
    const back = await NetworkPolicy.parse(JSON.stringify(spelled), "back.json");
    expect(withoutPlaces(back)).toEqual(withoutPlaces(file));
  }
  const { policy } = await NetworkPolicy.parse(
    JSON.stringify(await NetworkPolicy.spell(NetworkPolicy.publicOnly())),
    "back.json",
  );
  expect(policy).toEqual(NetworkPolicy.publicOnly());
  expect(await NetworkPolicy.schema()).toMatchObject({ type: "object" });
});

test("a check counts what a policy has, and warns of what does not do what it seems to", async () => {
  const policy = await NetworkPolicy.parse(
    "default: deny\nrules: [deny@10.0.0.0/8, 'allow@10.0.0.5:tcp:443']\n",
    "shadow.yaml",
  );
  const { rules, warnings } = await NetworkPolicy.check(policy);
  expect([rules, warnings.map(({ code }) => code)]).toEqual([
    2,
    expect.arrayContaining(["shadowed"]),
  ]);
  expect((await NetworkPolicy.check(NetworkPolicy.publicOnly())).warnings).toEqual([]);
  expect(await NetworkPolicy.check({} as never).then(() => "done", ({ code }) => code)).toBe(
    "USAGE",
  );
});

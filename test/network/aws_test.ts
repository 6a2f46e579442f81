/**
 * Programs of AWS's kind in a guest that has placeholders, and a bucket whose every request is checked by
 * Amazon's own implementation, with the keys. SBX_TEST_AWS=s3 adds Amazon's client for S3 (scripts/test-aws).
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import process from "node:process";
import { askAws } from "../support/aws/aws.ts";
import { buildGo } from "../support/build.ts";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { openWorld, type World } from "../support/world.ts";

const HOST = "s3.example.com";
const OTHER = "s3.example.org";
const REAL = {
  id: "ASIAIOSFODNN7EXAMPLE",
  key: `${randomBytes(29).toString("base64").slice(0, 39)}/`,
  token: randomBytes(300).toString("base64"),
};
const SDK = process.env.SBX_TEST_AWS ?? "";
const bucket = { field: "none", value: "none", bucket: true } as const;

let world: World;
let guest: NamespaceGuest;
beforeAll(async () => {
  world = await openWorld({ members: { [HOST]: bucket, [OTHER]: bucket } });
  process.env.TEST_ACCESS_KEY_ID = REAL.id;
  process.env.TEST_SECRET_ACCESS_KEY = REAL.key;
  process.env.TEST_SESSION_TOKEN = REAL.token;
  guest = await openNamespaceGuest(world, {
    policy: "public-only",
    tls: { upstreamCa: [world.ca] },
    secrets: [{
      name: "AWS",
      hosts: [HOST],
      source: "env:TEST",
      aws: { regions: ["eu-central-1"] },
    }],
  });
});
afterAll(async () => {
  for (const end of ["ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"]) {
    delete process.env[`TEST_${end}`];
  }
  await guest?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

/** The client in the guest, with what the guest has. */
function client(host: string, ...more: readonly string[]) {
  const keys = Object.entries(guest.placeholders).map(([name, text]) => `${name}=${text}`);
  return guest.run(
    ["env", ...keys, buildGo("aws", SDK), "client", `https://${host}`, guest.authority, ...more],
  );
}

test.each([["HTTP/1.1", []], ["HTTP/2.0", ["h2"]]])(
  "over %s, what the guest signed with placeholders is what the keys sign",
  async (protocol, more) => {
    world.internet.reset();
    const { stdout, stderr } = await client(HOST, ...more);
    expect(stderr).toBe("");
    const objects = SDK === "" ? {} : { whole: "whole", parts: "one two", presigned: "one two" };
    expect(JSON.parse(stdout)).toEqual({ ...objects, chunks: "true", json: '{"TableName":"t"}' });
    const { letters } = await world.internet.report();
    expect(letters.length).toBe(SDK === "" ? 3 : 11);
    expect(letters.every(({ proto }) => proto === protocol)).toBe(true);
    const checked = askAws(letters.map(({ host, method, target, fields, body }) => ({
      ask: "check",
      keys: REAL,
      method,
      host,
      target,
      fields: Object.entries(fields).flatMap(([name, values]) =>
        values.map((value) => ({ name, value }))
      ),
      body: Buffer.from(body),
    })));
    expect(checked.map(({ error }) => error)).toEqual(letters.map(() => ""));
    const all = JSON.stringify(letters);
    for (const gone of [REAL.key, ...Object.values(guest.placeholders)]) {
      expect(all).not.toContain(gone);
    }
    expect(JSON.stringify(guest.journal)).not.toContain(REAL.key);
    expect(guest.journal.filter(({ event }) => event === "secret").length).toBeGreaterThan(2);
  },
);

test("another host gets nothing of it", async () => {
  world.internet.reset();
  const { status } = await client(OTHER);
  expect(status).not.toBe(0);
  expect((await world.internet.report()).letters).toEqual([]);
  expect(guest.journal.some(({ event }) => event === "secret-violation")).toBe(true);
});

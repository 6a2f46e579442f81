/**
 * A server that says that it can be had elsewhere, and a client that believes it (curl with a cache of
 * alternative services).
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { SHARED } from "../support/places.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
let guest: NamespaceGuest;
beforeAll(async () => {
  world = await openWorld();
  guest = await openNamespaceGuest(world, {
    policy: "public-only",
    rules: ["deny@bad.cdn.test"],
    tls: { upstreamCa: [world.ca] },
  });
});
afterAll(async () => {
  await guest?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});
beforeEach(() => world.internet.reset());

let caches = 0;

/** Asks twice, the second time with what the first answer taught; what was said, and the cache. */
async function twice(authority: string, http: string): Promise<{ said: string; cache: string }> {
  const cache = join(world.scratch, `alternatives-${++caches}`);
  const curl = ["curl", "-sSik", "-m", "120", "--cacert", authority, "--alt-svc", cache, http];
  let said = "";
  for (const path of ["/elsewhere", "/"]) {
    said += (await guest.run([...curl, `https://good.cdn.test${path}`])).stdout;
  }
  return { said, cache: readFileSync(cache, "utf8").replace(/^#.*\n/gm, "") };
}

const FIELDS = /^(alt-svc|alternate-protocol):/im;

test.each(["--http1.1", "--http2"])("curl %s stays where flows are opened", async (http) => {
  const { said, cache } = await twice(guest.authority, http);
  expect(said).toContain("elsewhere");
  expect(said).toContain("hello from");
  expect(said).not.toMatch(FIELDS);
  expect(cache).toBe("");
  const { requests, accepts, datagrams } = await world.internet.report();
  expect(requests.map(({ to, path }) => [to, path])).toEqual([
    [`${SHARED}:443`, "/elsewhere"],
    [`${SHARED}:443`, "/"],
  ]);
  expect(accepts[`${SHARED}:8443`]).toBeUndefined();
  expect(datagrams[`${SHARED}:443`]).toBeUndefined();
});

test("this curl does go elsewhere where nothing is opened", async () => {
  await using plain = await openNamespaceGuest(world, { policy: "public-only" });
  const cache = join(world.scratch, "alternatives-plain");
  for (const path of ["/elsewhere", "/"]) {
    const argv = ["curl", "-sS", "-m", "120", "--cacert", world.ca, "--alt-svc", cache, "--http2"];
    await plain.run([...argv, `https://good.cdn.test${path}`]);
  }
  const { requests } = await world.internet.report();
  expect(requests.map(({ to }) => to)).toEqual([`${SHARED}:443`, `${SHARED}:8443`]);
});

test("plain HTTP that is relayed for its names says nothing of other places either", async () => {
  const { stdout } = await guest.run([
    "curl",
    "-sSi",
    "-m",
    "120",
    "http://good.cdn.test/elsewhere",
  ]);
  expect(stdout).toContain("elsewhere");
  expect(stdout).not.toMatch(FIELDS);
});

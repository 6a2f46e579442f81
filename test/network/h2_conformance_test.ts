/** A public conformance suite for HTTP/2 servers, run by a guest against a server whose TLS is intercepted. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { buildGo } from "../support/build.ts";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
let guest: NamespaceGuest;
beforeAll(async () => {
  world = await openWorld();
  guest = await openNamespaceGuest(world, {
    policy: "allow-all",
    rules: ["allow@good.cdn.test"],
    tls: { upstreamCa: [world.ca] },
  });
});
afterAll(async () => {
  await guest?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

test("sbx is a conforming server to its guest: all 146 cases", async () => {
  const { stdout, status } = await guest.run([buildGo("h2spec"), "good.cdn.test"], { limit: 500 });
  const failures = stdout.slice(Math.max(0, stdout.indexOf("Failures:"))).trim();
  expect(failures.slice(-2_000)).toEndWith("146 tests, 146 passed, 0 skipped, 0 failed");
  expect(status).toBe(0);
}, 600_000);

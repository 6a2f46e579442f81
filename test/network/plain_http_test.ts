/**
 * Plain HTTP where rules go by names: one connection can ask for many hosts, and each request counts.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { type NamespaceOptions, openNamespaceGuest } from "../support/namespace_guest.ts";
import { SHARED } from "../support/places.ts";
import { resolve, say } from "../support/say.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());
beforeEach(() => world.internet.reset());

const DENY = { outbound: "deny", inbound: "deny" } as const;

function guestUnder(rules: readonly string[], more: Partial<NamespaceOptions> = {}) {
  return openNamespaceGuest(world, { policy: "allow-all", denyWith: "reject", rules, ...more });
}

const API = "api.allowed.test";

describe("plain HTTP under rules about names", () => {
  const get = (host: string, path = "/") => `GET ${path} HTTP/1.1\r\nHost: ${host}\r\n\r\n`;

  test.each([
    ["an allow of one tenant", ["allow@good.cdn.test"], DENY],
    ["a deny of the other", ["deny@bad.cdn.test"], undefined],
  ])("under %s, every request is judged, not the first alone", async (_, rules, defaults) => {
    await using guest = await guestUnder(rules, defaults === undefined ? {} : { defaults });
    await resolve(guest, "good.cdn.test");
    const to = [SHARED, 80] as const;
    const [one, two, late, later] = await say(
      guest,
      { to, text: get("good.cdn.test"), all: true },
      { to, text: get("good.cdn.test") + get("bad.cdn.test") + get("good.cdn.test"), all: true },
      // After the server was dialled for a guest that said nothing.
      { to, text: get("good.cdn.test") + get("bad.cdn.test"), after: 4, all: true },
      { to: [SHARED, 8080], text: get("bad.cdn.test"), after: 4, all: true },
    );
    expect(one).toBe("200");
    expect(two).toBe("200 403");
    expect(late).toBe("200 403");
    expect(later).toMatch(/^(refused|reset)$/); // nobody listens there
    const { requests } = await world.internet.report();
    expect(requests.map(({ host }) => host)).toEqual(requests.map(() => "good.cdn.test"));
    const kept = guest.journal.filter(({ event }) => event === "request");
    expect(kept.filter(({ status }) => status === 200).length).toBe(3);
    expect(kept.filter(({ status }) => status === 403).length).toBe(2);
  });

  test("clients notice nothing: big bodies both ways, kept connections, slow servers", async () => {
    await using guest = await guestUnder(["allow@api.allowed.test:tcp:80"], { defaults: DENY });
    await resolve(guest, API);
    const size = 50_000_000;
    const { stdout } = await guest.run([
      "sh",
      "-c",
      `
curl -sS -m 60 http://${API}/bytes/${size} | sha256sum | cut -d' ' -f1
curl -sS -m 60 http://${API}/bytes/${size} | curl -sS -m 60 -T - http://${API}/sink
curl -sS -m 60 -w '%{num_connects} ' -o /dev/null http://${API}/ -o /dev/null http://${API}/`,
    ]);
    const [hash = "", sunk, connects] = stdout.split("\n");
    expect(sunk).toBe(`${size} ${hash}`);
    expect(connects).toBe("1 0 ");
  }, 120_000);
});

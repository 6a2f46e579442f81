/**
 * Names on flows, as hostile guests state them: the table of what is let through, and what the servers saw.
 * Most of it is about how a name is said, which a namespace guest says as well as a machine does.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { reach } from "../support/batch.ts";
import {
  type NamespaceGuest,
  type NamespaceOptions,
  openNamespaceGuest,
} from "../support/namespace_guest.ts";
import { EVIL, PRIVATE, PUBLIC, PUBLIC_2, PUBLIC_6, RESOLVERS, SHARED } from "../support/places.ts";
import { contacts, type Report } from "../support/recorder.ts";
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

/** The names that servers were shown. */
function shown({ names }: Report): string[] {
  return [...new Set(names.map(({ sni }) => sni.toLowerCase()))].sort();
}

const HTTPS: [string, number] = [PUBLIC, 443];
const API = "api.allowed.test";

describe("an allow list of one name", () => {
  let guest: NamespaceGuest;
  beforeAll(async () => {
    guest = await guestUnder([`allow@${API}:tcp:443`], { defaults: DENY });
    await resolve(guest, API);
  });
  afterAll(() => guest?.[Symbol.asyncDispose]());

  test("takes the name however it is split, spelled, padded or delayed, and no name for the pin", async () => {
    const outcomes = await say(
      guest,
      { to: HTTPS, sni: API },
      { to: HTTPS, sni: "API.Allowed.TEST" },
      { to: HTTPS, sni: API, record: 7 },
      { to: HTTPS, sni: API, record: 60, gap: 0.3 },
      { to: HTTPS, sni: API, after: 1 },
      { to: HTTPS, sni: API, pad: 1500 },
      { to: HTTPS, sni: API, pad: 17_000 },
      { to: HTTPS, sni: API, ech: true },
      { to: HTTPS, sni: null },
    );
    expect(outcomes).toEqual(outcomes.map(() => "hello"));
    expect(outcomes.length).toBe(9);
    expect(shown(await world.internet.report())).toEqual(["", API]);
  });

  test("takes no other name and no twisted one, and its server hears of none", async () => {
    const outcomes = await say(
      guest,
      { to: HTTPS, sni: "files.allowed.test" },
      { to: HTTPS, sni: `x.${API}` },
      { to: HTTPS, sni: `x${API}` },
      { to: HTTPS, sni: `${API}.evil.test` },
      { to: HTTPS, sni: "evil.test", ech: true },
      { to: HTTPS, sni: "evil.test", record: 30 },
      { to: HTTPS, sni: "evil.test", record: 30, gap: 0.3 },
      { to: HTTPS, sni: API, twice: "evil.test" },
      { to: HTTPS, sni: [API, "evil.test"] },
      { to: HTTPS, sni: [API, API] },
      { to: HTTPS, sni: "" },
      { to: HTTPS, sni: `${API}\0.evil.test` },
      { to: HTTPS, sni: `${API} ` },
      { to: HTTPS, sni: "*.allowed.test" },
      { to: HTTPS, sni: PUBLIC },
      { to: HTTPS, sni: `${"a".repeat(300)}.test` },
      { to: HTTPS, sni: "b\u00fccher.allowed.test" },
      { to: HTTPS, sni: API, inside: " / HTTP/1.1\r\nHost: evil.test\r\n\r\n" },
      { to: HTTPS, sni: API, inside: " / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n" },
      { to: HTTPS, text: "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n" },
      { to: HTTPS, text: `GET http://evil.test/ HTTP/1.1\r\nHost: ${API}\r\n\r\n` },
      { to: HTTPS, text: `GET / HTTP/1.1\r\nHost: ${API}\r\nHost: evil.test\r\n\r\n` },
    );
    expect(outcomes).toEqual(outcomes.map(() => "reset"));
    const report = await world.internet.report();
    expect([contacts(report, [PUBLIC]), report.names, report.requests]).toEqual([{}, [], []]);
  });

  test(
    "waits for a first word that dribbles in only so long, and dials nobody for it",
    async () => {
      const outcomes = await say(
        guest,
        { to: HTTPS, sni: API, drip: true, patience: 30 },
        { to: HTTPS, text: `GET / HTTP/1.1\r\nHost: ${API}\r\n`, patience: 30 },
      );
      expect(outcomes).toEqual(["reset", "reset"]);
      expect(contacts(await world.internet.report(), [PUBLIC])).toEqual({});
    },
    90_000,
  );

  test("opens neither other ports nor, unasked, the address of the other family", async () => {
    const targets = [
      `tcp:${PUBLIC}:80`,
      `tcp:${PUBLIC}:8443`,
      `udp:${PUBLIC}:443`,
      `udp:${PUBLIC}:7`,
      `tcp:${PUBLIC_6}:443`,
    ];
    const { stdout } = await guest.run(["sh", "-c", reach(targets, 2)]);
    expect(stdout).not.toContain("open");
    const report = await world.internet.report();
    expect(contacts(report, [PUBLIC, PUBLIC_6])).toEqual({});
    expect(Object.keys(report.packets).filter((to) => to.includes(PUBLIC))).toEqual([]);
  });
});

test("a suffix takes its apex and what is below, and nothing that looks like it", async () => {
  await using guest = await guestUnder(["allow@.allowed.test:tcp:443"], { defaults: DENY });
  const found = await resolve(
    guest,
    "api.allowed.test",
    "allowed.test",
    "api.allowed.test.",
    "xallowed.test",
    "allowed.test.evil.test",
    "evil.test",
  );
  expect(found).toEqual([PUBLIC, PUBLIC, PUBLIC]);
  expect(
    await say(
      guest,
      { to: HTTPS, sni: "allowed.test" },
      { to: HTTPS, sni: "files.allowed.test" }, // under the suffix, but never resolved to this address
      { to: [EVIL, 443], sni: "allowed.test" },
      { to: [EVIL, 443], sni: null },
    ),
  ).toEqual(["hello", "reset", "refused", "refused"]);
  const report = await world.internet.report();
  expect(contacts(report, [EVIL])).toEqual({});
  const asked = new Set(report.queries.map(({ name }) => name));
  expect(asked).toEqual(new Set(["api.allowed.test", "allowed.test"]));
});

test("a hole in a denied block is as wide as its name and port", async () => {
  await using guest = await guestUnder(["allow@good.cdn.test:tcp:443", "deny@104.16.0.0/16"]);
  await resolve(guest, "good.cdn.test", "bad.cdn.test");
  expect(
    await say(
      guest,
      { to: [SHARED, 443], sni: "good.cdn.test" },
      { to: [SHARED, 443], sni: "bad.cdn.test" },
      { to: [SHARED, 80], text: "GET / HTTP/1.1\r\nHost: good.cdn.test\r\n\r\n" },
    ),
  ).toEqual(["hello", "reset", "refused"]);
  const report = await world.internet.report();
  expect(report.accepts).toEqual({ [`${SHARED}:443`]: 1 });
  expect(shown(report)).toEqual(["good.cdn.test"]);
});

test("a deny that is limited to a port leaves the name's others", async () => {
  await using guest = await guestUnder([`deny@${API}:tcp:80`]);
  expect(await resolve(guest, API)).toEqual([PUBLIC]);
  expect(
    await say(
      guest,
      { to: HTTPS, sni: API },
      { to: [PUBLIC, 80], text: `GET / HTTP/1.1\r\nHost: ${API}\r\n\r\n` },
    ),
  ).toEqual(["hello", "reset"]);
  expect((await world.internet.report()).requests).toEqual([]);
});

describe("one denied name", () => {
  let guest: NamespaceGuest;
  beforeAll(async () => {
    guest = await guestUnder(["deny@bad.cdn.test"]);
  });
  afterAll(() => guest?.[Symbol.asyncDispose]());

  test("is recognised by what is stated, resolved or not, early, late or in pieces", async () => {
    const bad = { to: [SHARED, 443], sni: "bad.cdn.test" } as const;
    const outcomes = await say(
      guest,
      bad,
      { ...bad, record: 5 },
      { ...bad, record: 50, gap: 0.3 },
      { ...bad, after: 5 }, // the server was dialled by then, and must still not hear it
      { ...bad, to: [PUBLIC_2, 443] },
      { ...bad, to: [SHARED, 8443], after: 1 },
      { to: [SHARED, 80], text: "GET / HTTP/1.1\r\nHost: bad.cdn.test\r\n\r\n" },
      { to: [SHARED, 80], text: "GET / HTTP/1.1\r\nHost: bad.cdn.test\r\n\r\n", gap: 0.3 },
    );
    expect(outcomes).toEqual(outcomes.map(() => "reset"));
    const report = await world.internet.report();
    expect([shown(report), report.requests]).toEqual([[], []]);
    expect(Object.values(report.bytes)).toEqual(Object.values(report.bytes).map(() => 0));
  });

  test("is not hidden by what servers forgive, in one piece or in many", async () => {
    const http = { to: [SHARED, 80] } as const;
    const host = "Host: bad.cdn.test\r\n\r\n";
    const twisted = [
      ` GET / HTTP/1.1\r\n${host}`,
      `\tGET / HTTP/1.1\r\n${host}`,
      `\x01GET / HTTP/1.1\r\n${host}`,
      `\r\n\r\nGET / HTTP/1.1\r\n${host}`,
      `${"A".repeat(33)} / HTTP/1.1\r\n${host}`,
      `GET\t/\tHTTP/1.1\r\n${host}`,
      `GET / RTSP/1.0\r\n${host}`,
      `GET /x\r\n${host}`,
      `x\nGET / HTTP/1.1\r\n${host}`,
      `PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n${host}`,
    ];
    const outcomes = await say(
      guest,
      { to: [SHARED, 443], sni: "bad.cdn.test", version: [2, 1] },
      { to: [SHARED, 443], sni: "bad.cdn.test", version: [255, 255], record: 9 },
      { ...http, sni: "good.cdn.test", inside: ` / HTTP/1.1\r\n${host}` },
      { ...http, sni: "good.cdn.test", inside: ` / RTSP/1.0\r\n${host}`, after: 1 },
      ...twisted.map((text) => ({ ...http, text })),
      ...twisted.map((text) => ({ ...http, text, cut: 1, gap: 0.01 })),
    );
    expect(outcomes).toEqual(outcomes.map(() => "reset"));
    const report = await world.internet.report();
    expect([shown(report), report.requests]).toEqual([[], []]);
  });

  test("takes nothing from its neighbours, from those that state no name, or from servers that speak first", async () => {
    const outcomes = await say(
      guest,
      { to: [SHARED, 443], sni: "good.cdn.test" },
      { to: [SHARED, 443], sni: null },
      { to: [SHARED, 80], text: "GET / HTTP/1.1\r\nHost: good.cdn.test\r\n\r\n" },
      { to: [PUBLIC_2, 22], listen: true },
      { to: [PUBLIC_2, 22], text: "SSH-2.0-guest\r\n" },
      { to: [PUBLIC_2, 7], text: "\0\x01\x02" },
    );
    expect(outcomes).toEqual([
      "hello",
      "hello",
      "text HTTP/1.1 200 OK",
      "text SSH-2.0-internet",
      "text SSH-2.0-internet",
      "text \0\x01\x02",
    ]);
  });
});

describe("a block list", () => {
  let guest: NamespaceGuest;
  beforeAll(async () => {
    guest = await guestUnder([], { block: ["bad.cdn.test"] });
  });
  afterAll(() => guest?.[Symbol.asyncDispose]());

  test("is for what flows state, too, though no rule is about names", async () => {
    const get = (host: string) => `GET / HTTP/1.1\r\nHost: ${host}\r\n\r\n`;
    const outcomes = await say(
      guest,
      { to: [SHARED, 443], sni: "bad.cdn.test" },
      { to: [SHARED, 443], sni: "x.bad.cdn.test", record: 30, gap: 0.3 },
      { to: [PUBLIC_2, 443], sni: "BAD.cdn.test.", after: 5 },
      { to: [SHARED, 8443], sni: "bad.cdn.test" },
      { to: [SHARED, 80], text: get("bad.cdn.test") },
      { to: [SHARED, 80], sni: "good.cdn.test", inside: get("bad.cdn.test").slice(3) },
    );
    expect(outcomes).toEqual(outcomes.map(() => "reset"));
    const later = {
      to: [SHARED, 80],
      text: get("good.cdn.test") + get("bad.cdn.test"),
      all: true,
    } as const;
    expect(await say(guest, later)).toEqual(["200 403"]);
    const report = await world.internet.report();
    expect([shown(report), report.requests.map(({ host }) => host)]).toEqual([[], [
      "good.cdn.test",
    ]]);
  });

  test("takes nothing from other names, nameless flows, or servers that speak first", async () => {
    const outcomes = await say(
      guest,
      { to: [SHARED, 443], sni: "good.cdn.test" },
      { to: [SHARED, 443], sni: null },
      { to: [PUBLIC_2, 22], listen: true },
      { to: [PUBLIC_2, 22], text: "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n" },
      { to: [PUBLIC_2, 7], text: "\0\x01\x02" },
      { to: [PUBLIC_2, 7], text: "NICK x\r\n" },
    );
    expect(outcomes).toEqual([
      "hello",
      "hello",
      "text SSH-2.0-internet",
      "text SSH-2.0-internet",
      "text \0\x01\x02",
      "text NICK x",
    ]);
  });
});

describe("names by other ways", () => {
  test("are refused at once and leave nothing on the wire", async () => {
    await using guest = await guestUnder([]);
    const targets = [
      ...["tcp", "udp"].flatMap((protocol) =>
        [853, 5353, 5355, 137].map((port) => `${protocol}:${RESOLVERS[0]}:${port}`)
      ),
      `udp:${RESOLVERS[0]}:784`,
      `udp:${RESOLVERS[0]}:8853`,
      `udp:224.0.0.251:5353`,
    ];
    const { stdout } = await guest.run(["sh", "-c", reach(targets, 3)]);
    const outcomes = Object.entries(JSON.parse(stdout));
    expect(outcomes.length).toBe(targets.length);
    expect(
      outcomes.filter(([, outcome]) => outcome === "open" || outcome === "silent")
        .filter(([target]) => !String(target).includes("224.")),
    ).toEqual([]);
    const { packets } = await world.internet.report();
    expect(Object.keys(packets).filter((to) => /:(853|5353|5355|137|784|8853)$/.test(to))).toEqual(
      [],
    );
    const reasons = new Set(
      guest.journal.filter(({ event }) => event === "denied").map(({ reason }) => reason),
    );
    expect(reasons.has("dns-transport")).toBe(true);
  });
});

test("an address rule opens an inner address to its name; the name alone does not", async () => {
  await using guest = await guestUnder([`allow@${PRIVATE[0]}/32`, "allow@.evil.test"], {
    defaults: DENY,
  });
  expect(await resolve(guest, "private.evil.test")).toEqual([PRIVATE[0]]);
  expect(await resolve(guest, "metadata.evil.test")).toEqual([]);
  const text = "GET / HTTP/1.1\r\nHost: private.evil.test\r\n\r\n";
  expect(await say(guest, { to: [PRIVATE[0], 80], text })).toEqual(["text HTTP/1.1 200 OK"]);
});

test("an answer that lives for no time is good for the connection that follows", async () => {
  await using guest = await guestUnder([`allow@${API}:tcp:443`], { defaults: DENY });
  await resolve(guest, API);
  await new Promise((wake) => setTimeout(wake, 3_000));
  expect(await say(guest, { to: HTTPS, sni: API })).toEqual(["hello"]);
});

/**
 * Addresses that are the host's although no interface that is up has them, and addresses that become the
 * host's while a guest is at it. Only the kernel knows; whoever dials for the guest has to ask it.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { outcomes } from "../support/batch.ts";
import { buildGo } from "../support/build.ts";
import {
  type NamespaceGuest,
  type NamespaceOptions,
  openNamespaceGuest,
} from "../support/namespace_guest.ts";
import { PUBLIC_2, SHARED } from "../support/places.ts";
import { run } from "../support/process.ts";
import { Recorder } from "../support/recorder.ts";
import { resolve, say } from "../support/say.ts";
import { openWorld, ROOT, type World } from "../support/world.ts";

const DENY = { outbound: "deny", inbound: "deny" } as const;
const TENANT = "good.cdn.test"; // resolves to SHARED

/** Whose they are is only in the kernel's routes. */
const OWN = {
  "of an interface that is down": "151.101.10.2",
  "in a block routed here": "203.0.113.77",
  "in a block of IPv6 routed here": "2001:db8:5::77",
  "of all routers of its network": "2606:4700:9::",
} as const;
const BROADCAST = "151.101.9.3";

let world: World;
let canary: Recorder;
beforeAll(async () => {
  world = await openWorld();
  await ip(
    "link add down0 type veth peer name down1",
    "addr add 151.101.10.2/24 dev down0",
    "route add local 203.0.113.0/24 dev lo",
    "route add local 2001:db8:5::/48 dev lo",
  );
  await asRoot(["sh", "-c", "echo 1 >/proc/sys/net/ipv6/conf/all/forwarding"]);
  const { recorder } = await Recorder.start(world.onHostAsRoot([buildGo("internet")]), {
    listeners: [
      { net: "tcp", at: ":80", as: "canary" },
      { net: "tcp", at: ":443", as: "canary" },
      { net: "udp", at: ":7", as: "canary" },
    ],
  });
  canary = recorder;
});
afterAll(async () => {
  await canary?.stop();
  await world?.[Symbol.asyncDispose]();
});
beforeEach(() => canary.reset());

async function asRoot(argv: readonly string[]): Promise<void> {
  const { status, stderr } = await run(world.onHostAsRoot(argv));
  if (status !== 0) throw new Error(`${argv.join(" ")}: ${stderr}`);
}

async function ip(...lines: readonly string[]): Promise<void> {
  for (const line of lines) await asRoot(["ip", ...line.split(" ")]);
}

function guestUnder(options: Partial<NamespaceOptions>): Promise<NamespaceGuest> {
  return openNamespaceGuest(world, { policy: "allow-all", denyWith: "reject", ...options });
}

const bracketed = (address: string) => address.includes(":") ? `[${address}]` : address;

async function reach(guest: NamespaceGuest, targets: readonly string[]) {
  const script = join(ROOT, "test/support/reach.py");
  const probe = await guest.run(["python3", script, "3", ...targets]);
  if (probe.status !== 0) throw new Error(probe.stderr);
  return outcomes(probe);
}

const TARGETS = [
  ...Object.values(OWN).flatMap((at) => [
    `tcp:${bracketed(at)}:80`,
    `tcp:${bracketed(at)}:443`,
    `udp:${bracketed(at)}:7`,
  ]),
  `udp:${BROADCAST}:7`,
];

/** Every one of these was written with other machines in mind. */
const POLICIES: [string, Partial<NamespaceOptions>][] = [
  ["public-only", { policy: "public-only" }],
  ["public-only, intercepted", { policy: "public-only", tls: { ports: [443] } }],
  [
    "blocks that contain them",
    {
      defaults: DENY,
      rules: [
        "allow@151.101.0.0/16",
        "allow@203.0.113.0/24",
        "allow@2001:db8::/32",
        "allow@2606::/16",
      ],
    },
  ],
];

describe.each(POLICIES)("under %s", (_, options) => {
  test(
    "none of the host's own addresses is reached, and the host is named as the reason",
    async () => {
      await using guest = await guestUnder(options);
      const found = await reach(guest, TARGETS);
      expect(Object.entries(found).filter(([, outcome]) => outcome === "open")).toEqual([]);
      for (const at of [...Object.values(OWN), BROADCAST]) {
        const pinged = await guest.run(["ping", "-b", "-c", "1", "-W", "1", at]);
        expect([at, pinged.status]).not.toEqual([at, 0]);
      }
      const { accepts, datagrams } = await canary.report();
      expect({ accepts, datagrams }).toEqual({ accepts: {}, datagrams: {} });
      const denied = guest.journal.filter(({ event }) => event === "denied");
      for (const at of Object.values(OWN)) {
        const why = denied.find(({ destination }) => String(destination).includes(at));
        const named = why?.reason === "host" || /^deny@host:/.test(String(why?.ruleText));
        expect([at, named]).toEqual([at, true]);
      }
      expect(guest.journal.filter(({ event }) => event === "opened")).toEqual([]);
    },
    120_000,
  );
});

test("what names the host, or exactly the address, opens it", async () => {
  const opened = ["tcp:203.0.113.77:80", "tcp:151.101.10.2:80", "tcp:[2001:db8:5::77]:80"];
  const rules = [
    ["allow@host"],
    ["allow@203.0.113.77", "allow@151.101.10.2", "allow@2001:db8:5::77"],
  ];
  for (const each of rules) {
    await using guest = await guestUnder({ policy: "public-only", rules: each });
    const found = await reach(guest, opened);
    expect(found).toEqual(Object.fromEntries(opened.map((target) => [target, "open"])));
  }
  const { accepts } = await canary.report();
  expect(Object.values(accepts)).toEqual([2, 2, 2]);
}, 120_000);

test("a broadcast is sent where a rule names its address", async () => {
  await using guest = await guestUnder({ policy: "public-only", rules: [`allow@${BROADCAST}`] });
  await reach(guest, [`udp:${BROADCAST}:7`]);
  const { datagrams } = await canary.report();
  expect(Object.values(datagrams)).toEqual([1]);
}, 60_000);

describe("an address that becomes the host's", () => {
  const become = `route add local ${SHARED}/32 dev lo`;
  const cease = `route del local ${SHARED}/32 dev lo`;

  test(
    "just now is the host's for a name that resolved to it, plain, relayed and intercepted",
    async () => {
      for (const tls of [undefined, { ports: [443] }]) {
        await using guest = await guestUnder({
          defaults: DENY,
          rules: [`allow@${TENANT}`],
          ...(tls === undefined ? {} : { tls }),
        });
        await resolve(guest, TENANT);
        await ip(become);
        const text = `GET / HTTP/1.1\r\nHost: ${TENANT}\r\n\r\n`;
        const said = await say(
          guest,
          { to: [SHARED, 80], text },
          { to: [SHARED, 443], sni: TENANT },
          { to: [SHARED, 7], text: "hello" },
        );
        await ip(cease);
        expect(said.filter((one) => !/^(refused|reset|silent|closed)$/.test(one))).toEqual([]);
      }
      const { accepts } = await canary.report();
      expect(accepts).toEqual({});
    },
    120_000,
  );

  // The verdict on the name comes when the connection was judged already: with its first bytes.
  test.each([
    ["plain HTTP that sbx relays", 80, undefined],
    ["TLS that sbx intercepts", 443, { ports: [443] }],
    ["TLS that netstack passes on", 443, undefined],
  ])("between its question and its first bytes is not dialled: %s", async (_, port, tls) => {
    await using guest = await guestUnder({
      defaults: DENY,
      // A rule about blocks beside the one about names, so that nothing but the kernel knows better.
      rules: [`deny@bad.cdn.test`, `allow@104.16.0.0/16`],
      ...(tls === undefined ? {} : { tls }),
    });
    await resolve(guest, TENANT);
    const go = join(world.scratch, `go-${port}-${tls === undefined}`);
    const script = `
import os, socket, ssl, time
s = socket.create_connection(("${SHARED}", ${port}), 20)
print("connected", flush=True)
while not os.path.exists("${go}"): time.sleep(0.01)
s.settimeout(20)
try:
    if ${port} == 80:
        s.sendall(b"GET / HTTP/1.1\\r\\nHost: ${TENANT}\\r\\n\\r\\n")
        print(s.recv(100))
    else:
        context = ssl.create_default_context(); context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        print(context.wrap_socket(s, server_hostname="${TENANT}").version())
except (OSError, ssl.SSLError) as error: print("error")
`;
    const running = guest.start(["python3", "-u", "-c", script]);
    while (!running.stdout().includes("connected")) await delay(10);
    await ip(become);
    writeFileSync(go, "");
    const { stdout } = await running.ended;
    await ip(cease);
    expect(stdout).toMatch(/^connected\n(error|b'')\n$/);
    const { accepts } = await canary.report();
    expect(accepts).toEqual({});
    const ends = guest.journal.filter(({ event }) => event === "closed").map(({ end }) => end);
    expect(ends).toEqual(["guard"]);
  }, 120_000);

  test("ends the exchanges of datagrams that were under way with it", async () => {
    await using guest = await guestUnder({ defaults: DENY, rules: ["allow@93.184.216.0/24:udp"] });
    const go = join(world.scratch, "go-udp");
    const script = `
import os, socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(20)
s.connect(("${PUBLIC_2}", 7)); s.send(b"there"); print(s.recv(100), flush=True)
while not os.path.exists("${go}"): time.sleep(0.01)
s.settimeout(0.2)
for _ in range(10):
    try: s.send(b"here"); print("heard", s.recv(100))
    except OSError: time.sleep(0.05)
`;
    const running = guest.start(["python3", "-u", "-c", script]);
    while (!running.stdout().includes("there")) await delay(10);
    await ip(`route add local ${PUBLIC_2}/32 dev lo`);
    while (!guest.journal.some(({ event }) => event === "closed")) await delay(10);
    writeFileSync(go, "");
    const { stdout } = await running.ended;
    await ip(`route del local ${PUBLIC_2}/32 dev lo`);
    expect(stdout).toBe("b'there'\n");
    const { datagrams } = await canary.report();
    expect(datagrams).toEqual({});
    expect(guest.journal.find(({ event }) => event === "closed")?.end).toBe("guard");
  }, 120_000);
});

describe("the networks that the host's interfaces are on", () => {
  // The router is in both of the uplink's networks, and serves what the internet serves.
  const near = ["tcp:151.101.9.1:80", "tcp:[2606:4700:9::1]:80", "udp:151.101.9.1:7"];

  beforeEach(() => world.internet.reset());

  test("are no part of the internet, until a rule opens them", async () => {
    {
      await using guest = await guestUnder({ policy: "public-only" });
      const found = await reach(guest, near);
      expect(Object.entries(found).filter(([, outcome]) => outcome === "open")).toEqual([]);
      const { accepts, datagrams } = await world.internet.report();
      expect({ accepts, datagrams }).toEqual({ accepts: {}, datagrams: {} });
      const rules = guest.journal.filter(({ event }) => event === "denied")
        .map(({ ruleText }) => ruleText);
      expect(new Set(rules)).toEqual(new Set(["deny@local-network"]));
    }
    for (const rules of [["allow@local-network"], ["allow@151.101.9.1", "allow@2606:4700:9::1"]]) {
      await using guest = await guestUnder({ policy: "public-only", rules });
      const found = await reach(guest, near);
      expect(found).toEqual(Object.fromEntries(near.map((target) => [target, "open"])));
    }
    const { accepts } = await world.internet.report();
    expect(Object.values(accepts)).toEqual([2, 2]);
  }, 120_000);

  test("are read again as they change, and what is open is cut", async () => {
    await using guest = await guestUnder({ policy: "public-only" });
    const script = `
import socket
s = socket.create_connection(("${SHARED}", 7), 20)
s.sendall(b"there"); print(s.recv(100), flush=True)
s.settimeout(60)
try: print(s.recv(100))
except ConnectionError: print("cut")
`;
    const running = guest.start(["python3", "-u", "-c", script]);
    while (!running.stdout().includes("there")) await delay(10);
    await ip("addr add 104.16.1.200/24 dev up0");
    const { stdout } = await running.ended;
    await ip("addr del 104.16.1.200/24 dev up0");
    expect(stdout).toBe("b'there'\ncut\n");
    const revoked = guest.journal.find(({ event }) => event === "revoked");
    expect(revoked?.ruleText).toBe("deny@local-network");
  }, 120_000);
});

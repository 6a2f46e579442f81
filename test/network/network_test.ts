/**
 * What flows have to stand, at native speed: volume, numbers, ends in either order, floods. The guest is a
 * network namespace on the real netstack, judged by the real network layer.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { join } from "node:path";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { PRIVATE, PUBLIC, PUBLIC_2, PUBLIC_6, SILENT, UNREACHABLE } from "../support/places.ts";
import { contacts } from "../support/recorder.ts";
import { openWorld, ROOT, type World } from "../support/world.ts";

let world: World;
let guest: NamespaceGuest;
beforeAll(async () => {
  world = await openWorld();
  guest = await openNamespaceGuest(world, { policy: "public-only" });
});
afterAll(async () => {
  await guest?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

const GIB = 1 << 30;
const BULK = `${PUBLIC}:9000`;
const ECHO = `${PUBLIC}:7`;

interface Moved {
  readonly bytes: number;
  readonly sha256: string;
}

describe("streams", () => {
  test("1 GiB goes up with the same hash", async () => {
    await world.internet.reset();
    const sent = await guest.load<Moved>("up", { to: BULK, bytes: GIB });
    const { streams } = await world.internet.report();
    expect(streams).toEqual([{ to: BULK, bytes: GIB, sha256: sent.sha256 }]);
  });

  test("1 GiB comes down with the same hash", async () => {
    const { stdout } = await world.run([
      "python3",
      "-c",
      `
import hashlib, socket
s = socket.create_connection(("${PUBLIC}", 9000)); s.sendall(b"SOURCE ${GIB}\\n")
h = hashlib.sha256()
while b := s.recv(1 << 20): h.update(b)
print(h.hexdigest())`,
    ]);
    const got = await guest.load<Moved>("down", { to: BULK, bytes: GIB });
    expect(got).toMatchObject({ bytes: GIB, sha256: stdout.trim() });
  });

  test("either side may end its direction first, and the other still flows", async () => {
    await world.internet.reset();
    const { theirs, ours } = await guest.load<{ theirs: Moved; ours: Moved }>("halves", {
      to: BULK,
      bytes: 50_000_000,
    });
    const arrived = async () => (await world.internet.report()).streams.map(({ sha256 }) => sha256);
    // The server notes the second stream once it has seen its end, after our client may have left.
    while ((await arrived()).length < 2) await new Promise((wake) => setTimeout(wake, 10));
    expect(await arrived()).toEqual([ours.sha256, theirs.sha256]);
  });

  test("1,000 connections live at the same time", async () => {
    await world.internet.reset();
    expect(await guest.load<unknown>("hold", { to: ECHO, count: 1000 })).toEqual({ held: 1000 });
    expect((await world.internet.report()).accepts[ECHO]).toBe(1000);
  });

  test("a thousand connections one after the other leave no slot taken", async () => {
    const { failed } = await guest.load<{ failed: number }>("rate", {
      to: ECHO,
      parallel: 50,
      seconds: 2,
    });
    expect(failed).toBe(0);
    expect(await guest.load<unknown>("hold", { to: ECHO, count: 1000 })).toEqual({ held: 1000 });
  });
});

describe("a guest sees", () => {
  test("who refuses, who is unreachable, who is silent and who answers", async () => {
    const targets = {
      [`tcp:${PUBLIC}:7`]: "open",
      [`udp:${PUBLIC}:7`]: "open",
      [`udp:[${PUBLIC_6}]:7`]: "open",
      [`tcp:${PUBLIC}:4242`]: "refused",
      [`tcp:[${PUBLIC_6}]:4242`]: "refused",
      [`udp:${PUBLIC}:4242`]: "refused",
      [`udp:[${PUBLIC_6}]:4242`]: "refused",
      [`tcp:${UNREACHABLE}:80`]: "unreachable",
      [`tcp:${SILENT}:80`]: "silent",
    };
    const reach = join(ROOT, "test/support/reach.py");
    const { stdout } = await guest.run(["python3", reach, "3", ...Object.keys(targets)]);
    expect(JSON.parse(stdout)).toEqual(targets);
  });

  test("echoes of whom it may ping, and of nobody else", async () => {
    await world.internet.reset();
    const pinged = async (at: string) =>
      (await guest.run(["ping", "-c", "2", "-i", "0.2", "-W", "1", at])).status;
    expect([await pinged(PUBLIC), await pinged(PUBLIC_6)]).toEqual([0, 0]);
    expect([await pinged(PRIVATE[0]), await pinged("fd12::9"), await pinged("169.254.169.254")])
      .toEqual([1, 1, 1]);
    const seen = await world.internet.report();
    expect(contacts(seen, [PUBLIC])).toEqual({ [`icmp ${PUBLIC}`]: 2 });
    expect(contacts(seen, [PUBLIC_6])).toEqual({ [`icmp6 ${PUBLIC_6}`]: 2 });
    expect(contacts(seen, [PRIVATE[0], "fd12::9", "169.254.169.254"])).toEqual({});
  });

  test("no way to everybody at once, even where everything is allowed", async () => {
    await using open = await openNamespaceGuest(world, { policy: "allow-all" });
    await world.internet.reset();
    const everybody = [
      "255.255.255.255",
      "192.168.127.255",
      "240.0.0.1",
      "224.0.0.251",
      "ff02::fb",
    ];
    const reach = join(ROOT, "test/support/reach.py");
    const targets = [
      ...everybody.map((at) => `udp:${at.includes(":") ? `[${at}%eth0]` : at}:9`),
      "tcp:240.0.0.1:80",
    ];
    const { stdout } = await open.run(["python3", reach, "1", ...targets]);
    expect(Object.values(JSON.parse(stdout))).not.toContain("open");
    expect(contacts(await world.internet.report(), everybody)).toEqual({});
    const { count } = await open.load<{ count: number }>("udp", { to: ECHO, count: 3, size: 10 });
    expect(count).toBe(3);
  });
});

describe.each([1280, 1500, 9000, 65_520])("with an MTU of %d", (mtu) => {
  let small: NamespaceGuest;
  beforeAll(async () => {
    small = await openNamespaceGuest(world, { policy: "public-only", mtu });
  });
  afterAll(() => small?.[Symbol.asyncDispose]());

  test("streams flow both ways, in both families", async () => {
    for (const to of [BULK, `[${PUBLIC_6}]:9000`]) {
      const bytes = 64 << 20;
      expect((await small.load<Moved>("up", { to, bytes })).bytes).toBe(bytes);
      expect((await small.load<Moved>("down", { to, bytes })).bytes).toBe(bytes);
    }
  });

  test("datagrams larger than it come back", async () => {
    for (const to of [ECHO, `[${PUBLIC_6}]:7`]) {
      const { count } = await small.load<{ count: number }>("udp", { to, count: 5, size: 60_000 });
      expect(count).toBe(5);
    }
  });
});

describe("datagrams", () => {
  test.each([2, 1472, 9000, 60_000])("of %d bytes come back", async (size) => {
    const { count } = await guest.load<{ count: number }>("udp", { to: ECHO, count: 20, size });
    expect(count).toBe(20);
  });

  test("go over IPv6 as well", async () => {
    const to = `[${PUBLIC_6}]:7`;
    const { count } = await guest.load<{ count: number }>("udp", { to, count: 20, size: 1000 });
    expect(count).toBe(20);
  });
});

describe("a flood", () => {
  // What another program of the guest does meanwhile.
  const live = async () => {
    const connected = await guest.load<{ count: number }>("connect", { to: ECHO, count: 10 });
    // The flood fills the guest's own queues too: a query may be lost, and is then asked again.
    const named = await guest.run(["dig", "+short", "+tries=6", "+time=2", "files.allowed.test"]);
    return [connected.count, named.stdout.trim().split("\n").at(-1)];
  };
  const alive = [10, PUBLIC_2];

  test.each([
    ["SYNs to a server that never answers", "synflood", { to: `${SILENT}:80` }],
    ["SYNs to an address that is denied", "synflood", { to: `${PRIVATE[0]}:80` }],
    ["datagrams to everywhere", "spray", { block: "198.18.0.0/15", size: 64 }],
    ["datagrams to where nothing may go", "spray", { block: "10.0.0.0/8", size: 1200 }],
  ])("of 100,000 %s costs bounded memory, and others live on", async (_, what, flags) => {
    await world.internet.reset();
    const device = what === "synflood" ? { device: "eth0" } : {};
    const flood = guest.load<unknown>(what, { ...flags, ...device, count: 100_000 });
    expect(await live()).toEqual(alive);
    await flood;
    expect(await live()).toEqual(alive);
    expect(guest.netstackMemory("peak")).toBeLessThan(256);
    expect(contacts(await world.internet.report(), [PRIVATE[0]])).toEqual({});
  });
});

/**
 * What flows have to stand, at native speed: volume, numbers, ends in either order, floods. The guest is a
 * network namespace on the real netstack, judged by the real network layer.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { PRIVATE, PUBLIC, PUBLIC_2, PUBLIC_6, SILENT } from "../support/places.ts";
import { until } from "../support/process.ts";
import { contacts } from "../support/recorder.ts";
import { openWorld, type World } from "../support/world.ts";

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

  test("of connections beyond --max-connections refuses the new ones only", async () => {
    await using small = await openNamespaceGuest(world, {
      policy: "public-only",
      maxConnections: 100,
      denyWith: "reject",
    });
    const held = small.start([
      "python3",
      "-uc",
      `
import socket, sys
first = socket.create_connection(("${PUBLIC}", 7))
rest, refused = [], 0
for _ in range(300):
    try: rest.append(socket.create_connection(("${PUBLIC}", 7), 2))
    except OSError: refused += 1
first.sendall(b"still here"); print(len(rest), refused, first.recv(99).decode())`,
    ]);
    const { stdout } = await held.ended;
    expect(stdout).toBe("99 201 still here\n");
    await until("the journal", () => small.journal.some(({ event }) => event === "limit"));
  }, 300_000);
});

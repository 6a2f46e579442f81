/**
 * What limits refuse, and what they leave alone: the user's own on connections, and those on what a guest can
 * make netstack hold. Through the namespace guest, on the real netstack and network layer.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { PUBLIC, PUBLIC_2 } from "../support/places.ts";
import { until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

const ECHO = `${PUBLIC}:7`;

/** Runs a Python program in the guest; answers what it printed. */
async function python(guest: NamespaceGuest, program: string): Promise<string> {
  const { stdout, stderr } = await guest.run(["python3", "-uc", program], { limit: 120 });
  return stdout + stderr;
}

describe("--max-connections", () => {
  test("refuses the new ones only, and says so", async () => {
    await using small = await openNamespaceGuest(world, {
      policy: "public-only",
      maxConnections: 100,
      denyWith: "reject",
    });
    await world.internet.reset();
    const said = await python(
      small,
      `
import socket
first = socket.create_connection(("${PUBLIC}", 7))
rest, refused = [], 0
for _ in range(300):
    try: rest.append(socket.create_connection(("${PUBLIC}", 7), 2))
    except OSError: refused += 1
first.sendall(b"still here"); print(len(rest), refused, first.recv(99).decode())`,
    );
    expect(said).toBe("99 201 still here\n");
    expect((await world.internet.report()).accepts).toEqual({ [ECHO]: 100 });
    await until("the journal", () => small.journal.some(({ event }) => event === "limit"));
    const hint = "a higher --max-connections would allow more";
    await until("the notice", () => small.notices.some((line) => line.includes(hint)));
  });

  test("and questions do not take each other's places", async () => {
    await using small = await openNamespaceGuest(world, {
      policy: "public-only",
      maxConnections: 20,
      denyWith: "reject",
    });
    await world.internet.reset();
    const said = await python(
      small,
      `
import socket, struct
def query(n): return struct.pack(">6H", n, 256, 1, 0, 0, 0) + b"\\3api\\7allowed\\4test\\0\\0\\1\\0\\1"
def ask(n):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(30)
    s.connect(("9.9.9.9", 53)); s.send(query(n)); asked.append(s)
    return s.recv(999)[:2] == struct.pack(">H", n)
def ask_tcp(n):
    s = socket.create_connection(("9.9.9.9", 53), 30); asked.append(s)
    s.sendall(struct.pack(">H", len(query(n))) + query(n))
    return s.recv(999)[2:4] == struct.pack(">H", n)
def connect(): # every socket stays open
    try: open.append(socket.create_connection(("${PUBLIC}", 7), 30)); return True
    except OSError: return False
asked, open = [], []
print(sum(map(ask, range(300))), sum(map(ask_tcp, range(60))), "answered")
print([connect() for _ in range(25)].count(True), "connected")
print(sum(map(ask, range(300, 320))), sum(map(ask_tcp, range(20))), "answered")
print(connect(), open[0].send(b"x"), open[0].recv(9))`,
    );
    expect(said).toBe("300 60 answered\n20 connected\n20 20 answered\nFalse 1 b'x'\n");
    const { accepts, queries } = await world.internet.report();
    expect(accepts).toEqual({ [ECHO]: 20 });
    expect(queries.length).toBe(1); // the rest is from the cache
    const answered = small.journal.filter(({ event, verdict }) =>
      event === "dns" && verdict === "answered"
    );
    expect(answered.length).toBe(400);
    await until("the journal", () => small.journal.some(({ event }) => event === "limit"));
    const limits = small.journal.filter(({ event }) => event === "limit");
    expect(new Set(limits.map(({ what }) => what))).toEqual(new Set(["flows"]));
  });

  test(
    "counts those that live: each that ends frees its slot, in whichever way it ends",
    async () => {
      await using small = await openNamespaceGuest(world, {
        policy: "public-only",
        maxConnections: 256,
      });
      const said = await python(
        small,
        `
import socket, struct, concurrent.futures as futures
def fetch(_):
    with socket.create_connection(("${PUBLIC}", 80), 20) as s:
        s.sendall(b"GET / HTTP/1.0\\r\\nHost: a\\r\\n\\r\\n")
        while s.recv(4096): pass
    return 1
print(sum(fetch(i) for i in range(1000)))
with futures.ThreadPoolExecutor(50) as pool: print(sum(pool.map(fetch, range(1000))))
def half(_):
    s = socket.create_connection(("${PUBLIC}", 7), 20); s.sendall(b"x"); s.shutdown(socket.SHUT_WR)
    while s.recv(4096): pass
    s.close(); return 1
print(sum(half(i) for i in range(300)))
def reset(_):
    s = socket.create_connection(("${PUBLIC}", 7), 20)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)); s.close(); return 1
print(sum(reset(i) for i in range(300)))
def refused(_):
    try: socket.create_connection(("${PUBLIC}", 4242), 20)
    except ConnectionRefusedError: return 1
print(sum(refused(i) for i in range(300)))`,
      );
      expect(said).toBe("1000\n1000\n300\n300\n300\n");
      expect(small.journal.filter(({ event }) => event === "limit")).toEqual([]);
    },
    300_000,
  );
});

test("--max-new-flows holds new ones back, and lets those that are there go on", async () => {
  await using slow = await openNamespaceGuest(world, {
    policy: "public-only",
    newFlowsPerSecond: 10,
    denyWith: "reject",
  });
  await world.internet.reset();
  const said = await python(
    slow,
    `
import socket, time
first = socket.create_connection(("${PUBLIC}", 7))
made, refused = [], 0
for _ in range(200):
    try: made.append(socket.create_connection(("${PUBLIC}", 7), 5))
    except OSError: refused += 1
first.sendall(b"still here"); print(first.recv(99).decode(), len(made) + refused, refused > 100)
time.sleep(1.1); socket.create_connection(("${PUBLIC}", 7), 5); print("and later again")`,
  );
  expect(said).toBe("still here 200 True\nand later again\n");
  expect((await world.internet.report()).accepts[ECHO]).toBeLessThan(100);
  await until(
    "the journal",
    () => slow.journal.some(({ event, what }) => event === "limit" && what === "rate"),
  );
});

describe("what a guest does not read", () => {
  test("of one download stays where it is sent", async () => {
    await using guest = await openNamespaceGuest(world, { policy: "public-only" });
    const before = guest.netstackMemory();
    const stalled = guest.start(["python3", "-uc", stall(1)]);
    await until("the download", () => stalled.stdout().includes("stalled"));
    await settled(guest);
    expect(guest.netstackMemory("peak") - before).toBeLessThan(16);
    stalled.kill();
  });

  test("of a thousand downloads costs bounded memory, and another flow lives", async () => {
    await using guest = await openNamespaceGuest(world, { policy: "public-only" });
    const stalled = guest.start(["python3", "-uc", stall(1000)]);
    await until("the downloads", () => stalled.stdout().includes("stalled"), 60);
    await settled(guest);
    expect((await guest.load<{ count: number }>("connect", { to: ECHO, count: 10 })).count).toBe(
      10,
    );
    expect(guest.netstackMemory("peak")).toBeLessThan(256);
    stalled.kill();
  }, 180_000);

  function stall(count: number): string {
    return `
import socket, time
held = []
for _ in range(${count}):
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("${PUBLIC}", 9000)); s.sendall(b"SOURCE ${1 << 30}\\n"); held.append(s)
print("stalled"); time.sleep(1000)`;
  }
});

describe("what nobody reads of the guest", () => {
  test("costs bounded memory, and the guest waits", async () => {
    await using guest = await openNamespaceGuest(world, { policy: "public-only" });
    // A server that accepts and reads nothing, on an address that is somebody else's: it stops itself.
    const said = await python(
      guest,
      `
import socket
held, sent = [], 0
for _ in range(300):
    s = socket.create_connection(("${PUBLIC_2}", 9000), 20); s.sendall(b"SOURCE ${
        1 << 30
      }\\n"); s.setblocking(False)
    held.append(s)
for s in held:
    try:
        while True: sent += s.send(b"x" * 65536)
    except BlockingIOError: pass
print(sent > 0)`,
    );
    expect(said).toBe("True\n");
    await settled(guest);
    expect(guest.netstackMemory("peak")).toBeLessThan(256);
  }, 180_000);
});

test("thousands of idle connections cost bounded memory", async () => {
  await using guest = await openNamespaceGuest(world, { policy: "public-only", journal: false });
  const idle = guest.start([guest.loadPath, "idle", "--to", ECHO, "--count", "4000"]);
  await until("the connections", () => idle.stderr().includes("holding"), 60);
  expect(guest.netstackMemory("peak")).toBeLessThan(128);
  const { count } = await guest.load<{ count: number }>("udp", { to: ECHO, count: 20, size: 100 });
  expect(count).toBe(20);
  idle.kill();
}, 180_000);

/** Waits until netstack's memory has stopped growing. */
async function settled(guest: NamespaceGuest): Promise<void> {
  for (let last = -1; last !== (last = guest.netstackMemory("peak"));) {
    await new Promise((wake) => setTimeout(wake, 500));
  }
}

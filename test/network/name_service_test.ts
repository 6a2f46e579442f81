/**
 * The name service as a guest meets it, through its network: whatever resolver it asks, sbx answers.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildLookup } from "../support/build.ts";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { EVIL, PRIVATE, PUBLIC, PUBLIC_2, RESOLVERS } from "../support/places.ts";
import { type Run, run, until } from "../support/process.ts";
import { resolve } from "../support/say.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());
beforeEach(() => world.internet.reset());

describe("the resolver, asked through the guest's network", () => {
  let guest: NamespaceGuest;
  beforeAll(async () => {
    guest = await openNamespaceGuest(world, { policy: "public-only", denyWith: "reject" });
  });
  afterAll(() => guest?.[Symbol.asyncDispose]());

  test("answers a hundred questions of one segment, whatever resolver they were meant for", async () => {
    const { stdout, stderr } = await guest.run([
      "python3",
      "-c",
      `
import socket, struct
def query(i): return struct.pack(">HHHHHH", i, 0x100, 1, 0, 0, 0) + b"\\3api\\7allowed\\4test\\0" + struct.pack(">HH", 1, 1)
s = socket.create_connection(("${EVIL}", 53), 5)
s.sendall(b"".join(struct.pack(">H", len(q)) + q for q in map(query, range(100))))
f = s.makefile("rb"); ids = set(); ok = 0
for _ in range(100):
    m = f.read(struct.unpack(">H", f.read(2))[0]); ids.add(m[:2]); ok += m.endswith(socket.inet_aton("${PUBLIC}"))
print(len(ids), ok)
s.sendall(b"\\0\\0")
try: print(f.read())
except ConnectionError: print(b"")`,
    ]);
    expect([stdout, stderr]).toEqual(["100 100\nb''\n", ""]);
    const { queries } = await world.internet.report();
    expect(queries.filter(({ to }) => to === EVIL)).toEqual([]);
    expect(queries.length).toBeLessThanOrEqual(100);
  });

  test("answers while a thousand idle connections stand open to it", async () => {
    const { stdout, stderr } = await guest.run([
      "python3",
      "-c",
      `
import resource, socket, subprocess
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
idle = [socket.create_connection(("${RESOLVERS[0]}", 53), 5) for _ in range(1000)]
for how in ("+notcp", "+tcp"):
    print(subprocess.run(["dig", "+short", "+tries=1", "+time=10", how, "files.allowed.test"], capture_output=True, text=True).stdout, end="")`,
    ], { limit: 120 });
    expect([stdout, stderr]).toEqual([`${PUBLIC_2}\n${PUBLIC_2}\n`, ""]);
  }, 150_000);

  test("learns no name of a hosts file that changes under it, and tries no search domain of the host's", async () => {
    const asRoot = (...argv: string[]) => run(world.onHostAsRoot(argv));
    const hosts = join(world.scratch, "hosts");
    writeFileSync(hosts, `${PRIVATE[0]} intranet secret.allowed.test\n`);
    expect((await asRoot("mount", "--bind", hosts, "/etc/hosts")).stderr).toBe("");
    const known = await world.run(["getent", "hosts", "secret.allowed.test"]);
    expect(known.stdout).toContain(PRIVATE[0]);
    for (const name of ["intranet", "secret.allowed.test", "wpad", "printer.local"]) {
      expect([name, await resolve(guest, name)]).toEqual([name, []]);
    }
    await asRoot("umount", "/etc/hosts");
    const asked = (await world.internet.report()).queries.map(({ name }) => name);
    expect(new Set(asked)).toEqual(new Set(["secret.allowed.test"]));
  });
});

test(
  "a flood of questions is answered up to the limit, written down as a number, and holds up nothing else",
  async () => {
    await using guest = await openNamespaceGuest(world, {
      policy: "allow-all",
      denyWith: "reject",
    });
    const { stdout, stderr } = await guest.run([
      "python3",
      "-uc",
      `
import socket, struct, subprocess, threading, time
def query(i): return struct.pack(">HHHHHH", i & 0xffff, 0x100, 1, 0, 0, 0) + b"\\6f%05d\\5flood\\4test\\0" % i + struct.pack(">HH", 1, 1)
living = socket.create_connection(("${PUBLIC}", 7), 20)
socks = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(20)]
for s in socks: s.connect(("${RESOLVERS[0]}", 53)); s.settimeout(20)
answers, refused = 0, 0
def reader(s):
    global answers, refused
    while True:
        try: m = s.recv(4096)
        except OSError: return
        with lock:
            answers += 1
            refused += (m[3] & 15) == 5
lock = threading.Lock()
for s in socks: threading.Thread(target=reader, args=(s,), daemon=True).start()
for i in range(20000):
    socks[i % 20].send(query(i))
    if i % 1000 == 999: living.sendall(b"alive"); assert living.recv(99) == b"alive"
print("lived")
def dig(how):
    return subprocess.run(["dig", "+short", "+tries=8", "+time=3", how, "files.allowed.test"], capture_output=True, text=True).stdout
for how in ("+notcp", "+tcp"):
    while not (said := dig(how)): time.sleep(0.1) # refused as long as the flood's own are still before it
    print(said, end="")
with lock: print(refused)`,
    ], { limit: 120 });
    expect(stderr).toBe("");
    const [, refused] = new RegExp(`^lived\n(?:${PUBLIC_2}\n){2}(\\d+)\n$`).exec(stdout) ?? [];
    expect(Number(refused)).toBeGreaterThan(0);
    // Whatever the guest saw refused is in the numbers, which come once a second.
    const questions = () => guest.journal.filter(({ event }) => event === "dns");
    const limited = () => questions().filter(({ reason }) => reason === "dns-limit");
    const counted = () => limited().reduce((sum, { count }) => sum + Number(count), 0);
    await until("the numbers", () => counted() >= Number(refused));
    const others = questions().length - limited().length;
    expect(others + counted()).toBeLessThanOrEqual(20_500); // dig's own included
    // Nothing that was refused was asked on the guest's behalf.
    const { queries } = await world.internet.report();
    const asked = new Set(queries.map(({ name }) => name).filter((name) => name.includes("flood")));
    expect(asked.size).toBeLessThanOrEqual(others);
  },
  150_000,
);

test("C libraries' resolvers get from sbx what they get from its upstream", async () => {
  await using guest = await openNamespaceGuest(world, { policy: "allow-all" });
  const names = [
    "api.allowed.test",
    "API.Allowed.Test",
    "files.allowed.test",
    "alias.allowed.test",
    "deep.allowed.test",
    "many.allowed.test", // by way of TCP
    "text.allowed.test",
    "missing.allowed.test",
    "good.cdn.test",
  ];
  const musl = buildLookup();
  const few = names.filter((name) => !name.startsWith("many"));
  const commands = [
    ...["ahosts", "ahostsv4", "ahostsv6", "hosts"].map((
      database,
    ) => ["getent", database, ...names]),
    [musl, ...few],
  ];
  for (const command of commands) {
    const [direct, through] = [await world.run(command), await guest.run(command)];
    // Each namespace prefers addresses by its own, and names stand beside the first one only.
    const words = (line: string) => line.replace(/ STREAM .*/, "").split(/\s+/).sort().join(" ");
    const said = ({ status, stdout }: Run) => [status, ...stdout.split("\n").map(words).sort()];
    expect([command[1], ...said(through)]).toEqual([command[1], ...said(direct)]);
    expect(direct.stdout).toContain(PUBLIC_2);
  }
  // This musl never asks over TCP; part of a long answer is better for it than none.
  expect((await guest.run([musl, "many.allowed.test"])).stdout).toContain("198.18.1.1 ");
});

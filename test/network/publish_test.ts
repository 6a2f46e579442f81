/** Published ports: who gets in, to which server, and what a crowd at the door costs. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { ask, hear, RESET, say } from "../support/peer.ts";
import { HOST_ADDRESSES, PUBLIC } from "../support/places.ts";
import { type Running, until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

/** In the guest: says on stderr whatever reaches a port over TCP or UDP. */
const RECORDER = `
import socket, sys, threading
at = ("0.0.0.0", int(sys.argv[1]))
tcp = socket.create_server(at)
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); udp.bind(at)
say = lambda *words: sys.stderr.write(" ".join(words) + "\\n")
def datagrams():
    while True: say("udp", udp.recv(9999).decode())
threading.Thread(target=datagrams, daemon=True).start()
say("serving")
while True: say("tcp", tcp.accept()[0].recv(99).decode())`;

const OWN_WORDS = `
import socket, sys
at = ("127.0.0.1", int(sys.argv[1]))
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"own", at)
socket.create_connection(at).sendall(b"own")`;

const LOOPBACKS = ["127.0.0.1", "::1"] as const;

let world: World;
const REFUSED = 90;
let guest: NamespaceGuest;
const ports = new Map<string, number>();
const portOf = (guestPort: number, protocol = "tcp") => ports.get(`${protocol} ${guestPort}`) ?? 0;
const servers: Running[] = [];
let refused: Running;

beforeAll(async () => {
  world = await openWorld();
  const publish = [80, 81, 82, REFUSED].flatMap((guestPort) =>
    (["tcp", "udp"] as const).map((protocol) => ({ hostPort: 0, guestPort, protocol }))
  );
  guest = await openNamespaceGuest(world, {
    policy: "public-only",
    rules: [`deny:inbound@any:tcp:${REFUSED}`, `deny:inbound@any:udp:${REFUSED}`],
    publish,
  });
  for (const { port, guestPort, protocol } of guest.published) {
    ports.set(`${protocol} ${guestPort}`, port);
  }
  refused = guest.start(["python3", "-u", "-c", RECORDER, String(REFUSED)]);
  servers.push(refused);
  await until("the recorder", () => refused.stderr().includes("serving"));
  for (const at of ["0.0.0.0:80", "[::]:81"]) {
    const server = guest.start([guest.loadPath, "server", "--to", at]);
    servers.push(server);
    await until(at, () => server.stderr().includes("serving"));
  }
});
afterAll(async () => {
  servers.forEach((server) => server.kill());
  await guest?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

describe.each(LOOPBACKS)("on %s", (at) => {
  test.each([["IPv4", 80], ["IPv6", 81]])(
    "a server that listens on %s only is reached",
    async (_, to) => {
      expect(await say(world, at, portOf(to), "over tcp")).toBe("over tcp");
      const answers = await ask(world, at, portOf(to, "udp"), "one", "two");
      const [first = "", second = ""] = answers.map((answer) => answer.split(" ")[0]);
      expect(answers).toEqual([`${first} one`, `${first} two`]);
      expect(second).toBe(first);
      expect((await ask(world, at, portOf(to, "udp"), "three"))[0]).not.toStartWith(`${first} `);
    },
  );

  test("a port on which nobody listens in the guest is reset", async () => {
    expect(await say(world, at, portOf(82), "anybody?")).toBe(RESET);
  });

  test("an inbound rule about the guest's port refuses, and no byte reaches the server", async () => {
    const lines = guest.journal.length;
    const before = refused.stderr();
    expect(await say(world, at, portOf(REFUSED), "let me in")).toBe(RESET);
    expect((await hear(world, at, portOf(REFUSED, "udp"), "let me in")).trim()).toBe("timed out");
    const denied = () => guest.journal.slice(lines).filter(({ event }) => event === "denied");
    await until("both denials", () => denied().length >= 2);
    const denial = (protocol: string, rule: number) =>
      expect.objectContaining({
        direction: "inbound",
        protocol,
        destination: `192.168.127.2:${REFUSED}`,
        rule,
      });
    expect(denied()).toEqual([denial("tcp", 0), denial("udp", 1)]);
    // The server hears the guest itself, and heard nothing before.
    await guest.run(["python3", "-c", OWN_WORDS, String(REFUSED)]);
    const heard = () => refused.stderr().slice(before.length).trim().split("\n").sort();
    await until("the guest's own words", () => heard().length >= 2);
    expect(heard()).toEqual(["tcp own", "udp own"]);
    expect(guest.journal.slice(lines).filter(({ event }) => event === "opened")).toEqual([]);
  });
});

test("1,000 connections live at the same time", async () => {
  const { stdout, stderr } = await world.run(
    [guest.loadPath, "hold", "--to", `127.0.0.1:${portOf(80)}`, "--count", "1000"],
  );
  expect([stdout, stderr]).toEqual(['{"held":1000}\n', ""]);
});

test("1,000 idle connections keep neither the next one nor the guest's own from working", async () => {
  const idle = world.startOnHost(
    [guest.loadPath, "idle", "--to", `127.0.0.1:${portOf(80)}`, "--count", "1000"],
  );
  await until("the crowd", () => idle.stderr().includes("holding"));
  expect(await say(world, "127.0.0.1", portOf(80), "me too")).toBe("me too");
  const own = await guest.load<{ count: number }>("connect", { to: `${PUBLIC}:7`, count: 10 });
  expect(own.count).toBe(10);
  idle.kill();
  await idle.ended;
});

test("10,000 peers cost bounded memory, and one that goes on talking is not forgotten", async () => {
  const port = portOf(80, "udp");
  const { stdout } = await world.run([
    "python3",
    "-c",
    `
import socket
def peer():
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(1); s.connect(("127.0.0.1", ${port}))
    return s
def ask(s):
    for _ in range(10): # what a full queue drops is asked again
        s.send(b"?")
        try: return s.recv(999)
        except TimeoutError: pass
one = peer(); first = ask(one); same = 0
for i in range(10000):
    s = peer(); s.send(b"x" * 1000); s.close()
    if i % 100 == 0: same += ask(one) == first
print(same)`,
  ]);
  expect(stdout).toBe("100\n");
  expect(guest.netstackMemory("peak")).toBeLessThan(256);
});

test("the guest itself does not reach its published ports through the host", async () => {
  const targets = ["192.168.127.1", ...HOST_ADDRESSES].map((at) => `("${at}", ${portOf(80)})`);
  const { stdout } = await guest.run([
    "python3",
    "-c",
    `
import socket
for to in [${targets}]:
    try: socket.create_connection(to, 2); print("open")
    except OSError as e: print(type(e).__name__)`,
  ]);
  expect(stdout.trim().split("\n")).toEqual(["TimeoutError", "TimeoutError", "TimeoutError"]);
});

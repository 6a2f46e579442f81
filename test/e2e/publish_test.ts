/**
 * Published ports: who gets in, to which server, and what a crowd at the door costs. Through the namespace
 * guest where numbers matter, with the compiled binary and the real guest where a user would notice.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { HOST_ADDRESSES, PUBLIC } from "../support/places.ts";
import { type Running, until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** On the host: says `what` over TCP, ends its direction, and prints all that comes back. */
function say(at: string, port: number, what: string): Promise<string> {
  return world.run([
    "python3",
    "-c",
    `
import socket
s = socket.create_connection(("${at}", ${port}), 20)
s.sendall(b"${what}"); s.shutdown(socket.SHUT_WR)
while b := s.recv(1 << 16): print(b.decode(), end="")`,
  ]).then(({ stdout, stderr }) => stdout || (stderr.trim().split("\n").at(-1) ?? ""));
}

/** On the host: what a server answers to datagrams from one socket, each asked for again a few times. */
function ask(at: string, port: number, ...words: readonly string[]): Promise<string[]> {
  const family = at.includes(":") ? "AF_INET6" : "AF_INET";
  return world.run([
    "python3",
    "-c",
    `
import socket
s = socket.socket(socket.${family}, socket.SOCK_DGRAM); s.settimeout(10)
for word in ${JSON.stringify(words)}:
    s.sendto(word.encode(), ("${at}", ${port})); print(s.recv(9999).decode())`,
  ]).then(({ stdout }) => stdout.trim().split("\n"));
}

const LOOPBACKS = ["127.0.0.1", "::1"] as const;
const RESET = "ConnectionResetError: [Errno 104] Connection reset by peer";

describe("through the namespace guest", () => {
  const REFUSED = 90;
  let guest: NamespaceGuest;
  const ports = new Map<string, number>();
  const portOf = (guestPort: number, protocol = "tcp") =>
    ports.get(`${protocol} ${guestPort}`) ?? 0;
  const servers: Running[] = [];

  beforeAll(async () => {
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
    for (const at of ["0.0.0.0:80", "[::]:81", `0.0.0.0:${REFUSED}`]) {
      const server = guest.start([guest.loadPath, "server", "--to", at]);
      servers.push(server);
      await until(at, () => server.stderr().includes("serving"));
    }
  });
  afterAll(async () => {
    servers.forEach((server) => server.kill());
    await guest?.[Symbol.asyncDispose]();
  });

  describe.each(LOOPBACKS)("on %s", (at) => {
    test.each([["IPv4", 80], ["IPv6", 81]])(
      "a server that listens on %s only is reached",
      async (_, to) => {
        expect(await say(at, portOf(to), "over tcp")).toBe("over tcp");
        const answers = await ask(at, portOf(to, "udp"), "one", "two");
        const [first = "", second = ""] = answers.map((answer) => answer.split(" ")[0]);
        expect(answers).toEqual([`${first} one`, `${first} two`]);
        expect(second).toBe(first);
        expect((await ask(at, portOf(to, "udp"), "three"))[0]).not.toStartWith(`${first} `);
      },
    );

    test("a port on which nobody listens in the guest is reset", async () => {
      expect(await say(at, portOf(82), "anybody?")).toBe(RESET);
    });

    test("an inbound rule about the guest's port refuses, and no byte reaches the server", async () => {
      const lines = guest.journal.length;
      expect(await say(at, portOf(REFUSED), "let me in")).toBe(RESET);
      const denied = guest.journal.slice(lines).filter(({ event }) => event === "denied");
      expect(denied).toEqual([
        expect.objectContaining({
          direction: "inbound",
          protocol: "tcp",
          destination: `192.168.127.2:${REFUSED}`,
          rule: 0,
        }),
      ]);
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
    expect(await say("127.0.0.1", portOf(80), "me too")).toBe("me too");
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
});

describe("with the compiled binary", () => {
  // The guest says by a line of its own when it serves; "stop" on its input ends it.
  const SERVER = `
import socket, threading
def tcp(s):
    while True:
        c, _ = s.accept()
        def echo(c=c):
            while b := c.recv(65536): c.sendall(b)
            c.close()
        threading.Thread(target=echo, daemon=True).start()
def udp(s):
    while True:
        b, a = s.recvfrom(65536); s.sendto(("%s:%d " % a[:2]).encode() + b, a)
def six(kind, port):
    s = socket.socket(socket.AF_INET6, kind); s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    s.bind(("::", port)); return s
four = socket.create_server(("0.0.0.0", 80)); only6 = six(socket.SOCK_STREAM, 81); only6.listen()
d = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); d.bind(("0.0.0.0", 80))
for f, s in ((tcp, four), (tcp, only6), (udp, d), (udp, six(socket.SOCK_DGRAM, 81))):
    threading.Thread(target=f, args=(s,), daemon=True).start()
print("serving", flush=True); input()`;

  test("port 0 is told, and servers of either family are reached on both loopbacks", async () => {
    const running = world.start([
      ...["run", "-p", "0:80", "-p", "0:81", "-p", "0:80/udp", "-p", "0:81/udp"],
      ...["--", "python3", "-c", SERVER],
    ]);
    await until("the server", () => running.stdout().includes("serving"), 60);
    const told = (at: string, guestPort: string) => {
      const line = new RegExp(
        `^sbx: published ${at} port (\\d+) to ${guestPort} of the guest$`,
        "m",
      );
      return Number(line.exec(running.stderr())?.[1]);
    };
    for (const at of LOOPBACKS) {
      for (const guestPort of [80, 81]) {
        const half = "x".repeat(100_000);
        expect(await say(at, told(at, `${guestPort}/tcp`), half)).toBe(half);
        const answers = await ask(at, told(at, `${guestPort}/udp`), "one", "two");
        expect(answers.map((answer) => answer.split(" ")[1])).toEqual(["one", "two"]);
      }
    }
    running.child.stdin?.end("stop\n");
    expect((await running.ended).status).toBe(0);
  }, 180_000);

  test("a port that is taken is told before the guest boots, by its number", async () => {
    const taken = world.startOnHost([
      "python3",
      "-uc",
      'import socket; s = socket.create_server(("127.0.0.1", 18080)); print("taken"); input()',
    ]);
    await until("the port", () => taken.stdout().includes("taken"));
    const { status, stdout, stderr } = await world.sbx([
      "run",
      "-p",
      "18080:80",
      "--",
      "echo",
      "ran",
    ]);
    taken.kill();
    expect([status, stdout]).toEqual([125, ""]);
    expect(stderr).toContain("cannot publish tcp 127.0.0.1:18080: the port is taken");
    expect(stderr).not.toContain("emulated");
  });

  test("a policy that would refuse every peer is warned about at the start", async () => {
    const { status, stderr } = await world.sbx(
      ["run", "-p", "0:80", "--rule", "deny:inbound@any", "--", "true"],
    );
    expect(status).toBe(0);
    expect(stderr).toContain(
      "will refuse connections from this machine: rule 0, deny:inbound@any, denies them",
    );
  });

  test(
    "without a published port nothing listens on the host, whatever the guest does",
    async () => {
      const listening = async () => (await world.run(["ss", "-Hltnu"])).stdout.split("\n").sort();
      const before = await listening();
      const running = world.start(["run", "--", "python3", "-c", SERVER]);
      await until("the server", () => running.stdout().includes("serving"), 60);
      expect(await listening()).toEqual(before);
      running.child.stdin?.end("stop\n");
      expect((await running.ended).status).toBe(0);
    },
    120_000,
  );
});

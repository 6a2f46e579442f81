/**
 * Published ports whose server listens on the guest's loopback alone, with the compiled binary and a real
 * guest: who is led there, who is not and is told why, and that the server goes on owning its port.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { HOST_ADDRESSES } from "../support/places.ts";
import { type Running, until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

/** Ports of the guest. Each test has its own, so that their order does not matter. */
const [FOUR, SIX, BOTH, LATER, AGAIN, CROWD, INSIDE, UDP] = [80, 81, 82, 83, 84, 85, 86, 87];

/**
 * By a word on its input, starts and ends servers that echo, without SO_REUSEADDR; or connects as one of
 * the guest's own programs to whatever listens on its own address.
 */
const SERVERS = `
import socket, sys, threading
def echo(c):
    try:
        while b := c.recv(65536): c.sendall(b)
    except OSError: pass
    c.close()
def accept(s):
    while True:
        try: c, peer = s.accept()
        except OSError: return
        threading.Thread(target=echo, args=(c,), daemon=True).start()
servers = {}
def knock(port):
    try:
        s = socket.create_connection(("192.168.127.2", port), 20); s.sendall(b"x")
        return "heard %r" % s.recv(99)
    except OSError as error: return type(error).__name__
for line in sys.stdin:
    verb, at, port = line.split()
    if verb == "knock":
        lines = [l.split() for l in open("/proc/net/tcp")]
        own = [int(l[1][9:], 16) for l in lines if l[3] == "0A" and l[1].startswith("027FA8C0")]
        print(line.strip(), len(own) > 0, *{knock(p) for p in own + [int(port)]}, flush=True); continue
    if verb == "listen":
        s = socket.socket(socket.AF_INET6 if ":" in at else socket.AF_INET)
        try:
            s.bind((at, int(port))); s.listen(256)
        except OSError as error: print(line.strip(), error, flush=True); continue
        servers[at, port] = s
        threading.Thread(target=accept, args=(s,), daemon=True).start()
    else:
        s = servers.pop((at, port)); s.shutdown(socket.SHUT_RDWR); s.close()
    print(line.strip(), "done", flush=True)`;

let world: World;
let guest: Running;
beforeAll(async () => {
  world = await openWorld();
  const ports = [FOUR, SIX, LATER, AGAIN, CROWD, INSIDE].flatMap((port) => ["-p", `0:${port}`]);
  guest = world.start([
    ...["run", ...ports, "-p", `0:${BOTH}`, "-p", `0.0.0.0:0:${BOTH}`, "-p", `0:${UDP}/udp`],
    ...["--", "python3", "-c", SERVERS],
  ], { limit: 600 });
  await tell(`listen 127.0.0.1 ${FOUR}`);
}, 180_000);
afterAll(async () => {
  guest?.child.stdin?.end();
  await guest?.ended;
  await world?.[Symbol.asyncDispose]();
});

/** What the guest says to a word. */
async function ask(what: string): Promise<string> {
  const before = guest.stdout().length;
  guest.child.stdin?.write(`${what}\n`);
  await until(what, () => guest.stdout().slice(before).includes("\n"), 120);
  return guest.stdout().slice(before + what.length).trim();
}

/** Has the guest start or end a server. */
async function tell(what: string): Promise<void> {
  expect([what, await ask(what)]).toEqual([what, "done"]);
}

/** The port of the host that leads to the guest's, as sbx tells it. */
function portOf(guestPort: number, at = "127.0.0.1", protocol = "tcp"): number {
  const [address, to] = [at.replaceAll(".", "\\."), `${guestPort}/${protocol}`];
  const line = new RegExp(`^sbx: published ${address} port (\\d+) to ${to} of the guest$`, "m");
  return Number(line.exec(guest.stderr())?.[1]);
}

/** On the host: says `what` over `count` connections at once, and prints all that comes back. */
async function say(at: string, port: number, what: string, count = 1): Promise<string> {
  const { stdout, stderr } = await world.run([
    "python3",
    "-c",
    `
import socket, sys, threading
out = []
def say():
    try:
        s = socket.create_connection(("${at}", ${port}), 60)
        s.sendall(b"${what}")
        try: s.shutdown(socket.SHUT_WR)
        except OSError: pass # reset already, as reading says
        heard = b""
        while b := s.recv(1 << 16): heard += b
        out.append(heard.decode())
    except OSError as error: out.append(str(error))
threads = [threading.Thread(target=say) for _ in range(${count})]
for t in threads: t.start()
for t in threads: t.join()
print("\\n".join(sorted(out)))`,
  ]);
  return stdout.trim() || stderr;
}

const RESET = "[Errno 104] Connection reset by peer";
const notices = () => guest.stderr().split("\n");

test.each([["127.0.0.1", FOUR], ["::1", SIX]])(
  "a server on the guest's %s is reached on both loopbacks",
  async (at, port) => {
    if (port !== FOUR) await tell(`listen ${at} ${port}`);
    const half = "x".repeat(100_000);
    for (const host of ["127.0.0.1", "::1"]) {
      expect(await say(host, portOf(port, host), half)).toBe(half);
    }
    expect(guest.stderr()).not.toContain(`port ${port} in the guest`);
  },
  180_000,
);

test(
  "on other addresses of this machine nobody is led there, which is said once, and the hint helps",
  async () => {
    await tell(`listen 127.0.0.1 ${BOTH}`);
    const port = portOf(BOTH, "0.0.0.0");
    const told =
      `sbx: connections to 0.0.0.0:${port} are refused: the guest's server listens on its ` +
      "127.0.0.1 only; publish it on 127.0.0.1, or let it listen on 0.0.0.0";
    for (const host of ["127.0.0.1", HOST_ADDRESSES[0] ?? "", "127.0.0.1"]) {
      expect(await say(host, port, "let me in")).toBe(RESET);
    }
    expect(notices().filter((line) => line === told)).toHaveLength(1);
    expect(guest.stderr()).not.toContain(`tcp port ${BOTH} in the guest`);
    expect(await say("127.0.0.1", portOf(BOTH), "published on 127.0.0.1")).toBe(
      "published on 127.0.0.1",
    );
    await tell(`end 127.0.0.1 ${BOTH}`);
    await tell(`listen 0.0.0.0 ${BOTH}`);
    for (const host of ["127.0.0.1", HOST_ADDRESSES[0] ?? ""]) {
      expect(await say(host, port, "listens on 0.0.0.0")).toBe("listens on 0.0.0.0");
    }
  },
  180_000,
);

test("a server that starts later is reached from its first moment on", async () => {
  const port = portOf(LATER);
  for (let turn = 0; turn < 3; turn++) expect(await say("127.0.0.1", port, "you?")).toBe(RESET);
  const told = `sbx: nothing listens on tcp port ${LATER} in the guest`;
  expect(notices().filter((line) => line === told)).toHaveLength(1);
  await tell(`listen 127.0.0.1 ${LATER}`);
  expect(await say("127.0.0.1", port, "you?")).toBe("you?");
  expect(notices().filter((line) => line === told)).toHaveLength(1);
}, 180_000);

test("a server keeps its port: it may end and start again, on any address", async () => {
  const port = portOf(AGAIN);
  for (const at of ["127.0.0.1", "::1", "0.0.0.0", "127.0.0.1", "::"]) {
    await tell(`listen ${at} ${AGAIN}`);
    expect(await say("127.0.0.1", port, at)).toBe(at);
    await tell(`end ${at} ${AGAIN}`);
    expect(await say("127.0.0.1", port, at)).toBe(RESET);
  }
}, 180_000);

test("a hundred connections at once are all led there", async () => {
  await tell(`listen 127.0.0.1 ${CROWD}`);
  const heard = await say("127.0.0.1", portOf(CROWD), "me too", 100);
  expect(heard.split("\n")).toEqual(Array(100).fill("me too"));
}, 180_000);

test("the guest's own programs are not let in by its own address", async () => {
  await tell(`listen 127.0.0.1 ${INSIDE}`);
  expect(await say("127.0.0.1", portOf(INSIDE), "hello")).toBe("hello");
  const heard = (await ask(`knock - ${INSIDE}`)).split(" ").sort();
  expect(heard).toEqual(["ConnectionRefusedError", "ConnectionResetError", "True"]);
}, 180_000);

test("a UDP port without a server that others reach is told of once", async () => {
  const port = portOf(UDP, "127.0.0.1", "udp");
  const told = `sbx: nothing listens on udp port ${UDP} in the guest where others reach it: a ` +
    "server has to listen on 0.0.0.0 or ::, not on 127.0.0.1 or ::1 alone";
  for (let turn = 0; turn < 2; turn++) {
    await world.run([
      "python3",
      "-c",
      `
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(5): s.sendto(b"anybody?", ("127.0.0.1", ${port})); time.sleep(0.1)`,
    ]);
    await until("the notice", () => notices().includes(told));
  }
  expect(notices().filter((line) => line === told)).toHaveLength(1);
}, 180_000);

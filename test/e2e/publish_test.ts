/** Published ports with the compiled binary and a real guest, as a user meets them. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { ask, say } from "../support/peer.ts";
import { until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

const LOOPBACKS = ["127.0.0.1", "::1"] as const;

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

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
    ...["run", "-p", "0:80-81", "-p", "0:80/udp", "-p", "0:81/udp"],
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
      expect(await say(world, at, told(at, `${guestPort}/tcp`), half)).toBe(half);
      const answers = await ask(world, at, told(at, `${guestPort}/udp`), "one", "two");
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

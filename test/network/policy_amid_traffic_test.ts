/**
 * Another policy amid traffic, on the real netstack and network layer: connections that stay, flows that are
 * being opened, and peers of published ports.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { connectionsOf } from "../support/connections.ts";
import { openNamespaceGuest } from "../support/namespace_guest.ts";
import { PUBLIC_2, SHARED } from "../support/places.ts";
import { until } from "../support/process.ts";
import { contacts } from "../support/recorder.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** In the guest: one connection of HTTP, with a request for each host on a line of its input. */
const ASK = `
import socket, sys
socket.gethostbyname("bad.cdn.test")
s = socket.create_connection((socket.gethostbyname("good.cdn.test"), 80), 20)
try:
    for host in sys.stdin:
        s.sendall(f"HEAD / HTTP/1.1\\r\\nHost: {host.strip()}\\r\\n\\r\\n".encode()); answer = b""
        while b"\\r\\n\\r\\n" not in answer: answer += s.recv(65536) or exit()
        print(answer.split(b" ")[1].decode(), flush=True)
except OSError as e: print(type(e).__name__, flush=True)`;

test("later requests of a kept connection are judged by the new policy, and it goes with its own", async () => {
  await using guest = await openNamespaceGuest(world, {
    policy: "public-only",
    rules: ["deny@never.test"],
  });
  const connection = () => {
    const running = guest.start(["python3", "-c", ASK]);
    let lines = 0;
    return async (host: string) => {
      running.child.stdin?.write(`${host}\n`);
      lines++;
      await until(host, () => running.stdout().split("\n").length > lines);
      return running.stdout().trim().split("\n").at(-1);
    };
  };
  const without = (name: string) => guest.apply({ policy: "public-only", rules: [`deny@${name}`] });
  const one = connection();
  expect(await one("good.cdn.test")).toBe("200");
  expect((await without("bad.cdn.test")).flows).toMatchObject([{ outcome: "stays" }]);
  expect([await one("good.cdn.test"), await one("bad.cdn.test")]).toEqual(["200", "403"]);
  await without("never.test");
  // What has passed on it may be under way still, for all that is known.
  const other = connection();
  expect([await other("good.cdn.test"), await other("bad.cdn.test")]).toEqual(["200", "200"]);
  const cut = (await without("bad.cdn.test")).flows.filter(({ outcome }) => outcome === "cut");
  expect(cut).toMatchObject([{ destination: `${SHARED}:80`, ruleText: "deny@bad.cdn.test" }]);
  expect(await other("good.cdn.test")).toMatch(/Error$/);
  const { requests } = await world.internet.report();
  expect(requests.slice(-4).map(({ host }) => host)).toEqual([
    "good.cdn.test",
    "good.cdn.test",
    "good.cdn.test",
    "bad.cdn.test",
  ]);
});

test("while flows are opened all the time, none gets past a policy that denies them", async () => {
  await using guest = await openNamespaceGuest(world, { policy: "public-only" });
  const knock = `
import socket, threading
def knock():
    while True:
        try:
            s = socket.create_connection(("${PUBLIC_2}", 7), 1); s.settimeout(1); s.sendall(b"\\0"); s.recv(1)
            print("through", flush=True)
        except OSError: pass
for _ in range(20): threading.Thread(target=knock).start()`;
  const running = guest.start(["python3", "-c", knock]);
  await until("the first", () => running.stdout().includes("through"));
  const closed = {
    policy: "public-only",
    rules: [`deny@${PUBLIC_2}`],
    denyWith: "reject",
  } as const;
  const open = { policy: "public-only" } as const;
  for (let round = 0; round < 10; round++) {
    await Promise.all([guest.apply(closed), guest.apply(open), guest.apply(closed)]);
    await until("the cut", async () => !(await connectionsOf(world)).includes(`${PUBLIC_2}:7`));
    // What the server was sent before that it may take note of now.
    await new Promise((wake) => setTimeout(wake, 100));
    await world.internet.reset();
    await new Promise((wake) => setTimeout(wake, 100));
    expect(contacts(await world.internet.report(), [PUBLIC_2])).toEqual({});
    const before = running.stdout().length;
    await guest.apply(open);
    await until("the next", () => running.stdout().length > before);
  }
  running.kill();
}, 60_000);

test("peers of a published port are cut, by a policy that denies them or with the port", async () => {
  await using guest = await openNamespaceGuest(world, { policy: "public-only" });
  const server = guest.start([guest.loadPath, "server", "--to", "0.0.0.0:80"]);
  await until("the server", () => server.stderr().includes("serving"));
  const opened = await guest.publish({ hostPort: 0, guestPort: 80, protocol: "tcp" });
  const [first] = opened;
  if (first === undefined) throw new Error("nothing listens");
  const peer = async () => {
    const talk = `
import socket
s = socket.create_connection(("127.0.0.1", ${first.port}), 20); print("open", flush=True)
try: print("eof" if not s.recv(1) else "data", flush=True)
except OSError as e: print(type(e).__name__, flush=True)`;
    const running = world.startOnHost(["python3", "-c", talk]);
    await until(
      "a peer",
      async () => running.stdout().includes("open") && (await guest.counts()).openFlows === 1,
    );
    return running;
  };
  const one = await peer();
  const { flows } = await guest.apply({ policy: "public-only", rules: ["deny:inbound@any"] });
  expect(flows).toMatchObject([{
    direction: "inbound",
    outcome: "cut",
    ruleText: "deny:inbound@any",
  }]);
  await until("its end", () => one.stdout().includes("Error"));
  await guest.apply({ policy: "public-only" });
  const other = await peer();
  const cut = await Promise.all(opened.map((port) => guest.unpublish(port)));
  expect(cut.reduce((all, count) => all + count, 0)).toBe(1);
  await until("its end", () => /Error|eof/.test(other.stdout()));
  const again = await world.run(["curl", "-sS", "-m", "5", `http://127.0.0.1:${first.port}/`]);
  expect(again.stderr).toContain("Failed to connect");
  await expect(guest.publish({ hostPort: 0, guestPort: 80, protocol: "tcp", bind: "192.0.2.77" }))
    .rejects.toMatchObject({ code: "PORT_UNAVAILABLE" });
  server.kill();
});

import { afterAll, expect, test } from "bun:test";
import {
  EVIL,
  HOST_LOOPBACK_PORT,
  PRIVATE,
  PUBLIC,
  PUBLIC_6,
  RESOLVERS,
  SILENT,
  UNREACHABLE,
} from "./places.ts";
import { until } from "./process.ts";
import { contacts } from "./recorder.ts";
import { openWorld } from "./world.ts";

const world = await openWorld();
afterAll(() => world[Symbol.asyncDispose]());

test("the host reaches every address of the internet, and each counts", async () => {
  await world.internet.reset();
  for (const at of [PUBLIC, `[${PUBLIC_6}]`, PRIVATE[0]]) {
    const { stdout } = await world.run(["curl", "-sS", "-m5", `http://${at}/`]);
    expect(stdout).toBe(`hello from ${at}:80 as ${at} over HTTP/1.1\n`);
  }
  const report = await world.internet.report();
  expect(report.accepts).toEqual({
    [`${PUBLIC}:80`]: 1,
    [`[${PUBLIC_6}]:80`]: 1,
    [`${PRIVATE[0]}:80`]: 1,
  });
  expect(contacts(report, [PRIVATE[0]])[`tcp ${PRIVATE[0]}:80`]).toBeGreaterThan(3);
  expect(contacts(report, [PRIVATE[1]])).toEqual({});
});

test("TLS names are signed by the world's authority and written down", async () => {
  await world.internet.reset();
  const to = ["--resolve", `api.allowed.test:443:${PUBLIC}`, "https://api.allowed.test/"];
  const { stdout } = await world.run(["curl", "-sS", "--cacert", world.ca, ...to]);
  expect(stdout).toBe(`hello from ${PUBLIC}:443 as api.allowed.test over HTTP/2.0\n`);
  expect((await world.internet.report()).names)
    .toEqual([{ to: `${PUBLIC}:443`, sni: "api.allowed.test" }]);
});

test("packets to a port where nothing listens are seen all the same", async () => {
  await world.internet.reset();
  const { status } = await world.run(["curl", "-sS", "-m5", `http://${PUBLIC}:4242/`]);
  expect(status).toBe(7);
  expect(Object.keys(contacts(await world.internet.report(), [PUBLIC])))
    .toEqual([`tcp ${PUBLIC}:4242`]);
});

test("what a connection of before a reset says belongs to it only in bytes", async () => {
  await world.internet.reset();
  const script = `
import socket, sys
s = socket.create_connection(("${PUBLIC}", 9000)); s.sendall(b"SINK\\n")
print("open", flush=True); sys.stdin.readline()
s.sendall(b"x"); print("sent", flush=True); sys.stdin.readline()
s.shutdown(socket.SHUT_WR); s.recv(200); s.close(); print("closed", flush=True)
`;
  const talk = world.startOnHost(["python3", "-u", "-c", script]);
  const said = (word: string) => until(word, () => talk.stdout().includes(word));
  const seen = async () => contacts(await world.internet.report(), [PUBLIC]);
  await said("open");
  await world.internet.reset();
  talk.child.stdin?.write("\n");
  await said("sent");
  await until("its byte", async () => Object.keys(await seen()).length > 0);
  await world.internet.reset();
  talk.child.stdin?.write("\n");
  await said("closed");
  expect((await talk.ended).status).toBe(0);
  expect(await seen()).toEqual({});
});

test("one address is unreachable and another silent", async () => {
  const script = `import socket; socket.create_connection(("${UNREACHABLE}", 80), 5)`;
  const no = await world.run(["python3", "-c", script]);
  expect(no.stderr).toContain("No route to host");
  expect((await world.run(["curl", "-sS", "-m1", `http://${SILENT}/`])).status).toBe(28);
});

test("the host's canary counts what reaches its loopback", async () => {
  await world.host.reset();
  await world.run(["curl", "-s", "-m1", `http://127.0.0.1:${HOST_LOOPBACK_PORT}/`]);
  expect((await world.host.report()).accepts).toEqual({ [`127.0.0.1:${HOST_LOOPBACK_PORT}`]: 1 });
});

test("bulk streams carry a hash both ways, and datagrams echo", async () => {
  await world.internet.reset();
  const script = `
import hashlib, socket
s = socket.create_connection(("${PUBLIC}", 9000)); s.sendall(b"SOURCE 3000000\\n")
h = hashlib.sha256()
while True:
    b = s.recv(65536)
    if not b: break
    h.update(b)
s = socket.create_connection(("${PUBLIC}", 9000)); s.sendall(b"SINK\\n")
s.sendall(b"x" * 100000); s.shutdown(socket.SHUT_WR); answer = s.recv(200).decode().split()
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(5)
u.sendto(b"y" * 60000, ("${PUBLIC}", 7)); back, who = u.recvfrom(65536)
print(h.hexdigest() != "", answer[0], answer[1] == hashlib.sha256(b"x" * 100000).hexdigest(), len(back), who)
`;
  const { stdout, stderr } = await world.run(["python3", "-c", script]);
  expect([stderr, stdout]).toEqual(["", `True 100000 True 60000 ('${PUBLIC}', 7)\n`]);
  expect((await world.internet.report()).datagrams).toEqual({ [`${PUBLIC}:7`]: 1 });
});

test("names resolve as the zone says, and each query is written down", async () => {
  await world.internet.reset();
  const lookup = async (...args: string[]) =>
    (await world.run(["dig", "+short", "+tries=1", "+time=2", ...args])).stdout.trim().split("\n");
  expect(await lookup("api.allowed.test", "AAAA")).toEqual([PUBLIC_6]);
  expect(await lookup("alias.allowed.test", "+tcp")).toEqual(["api.allowed.test.", PUBLIC]);
  expect([await lookup("flip.evil.test"), await lookup("flip.evil.test")])
    .toEqual([[EVIL], [PRIVATE[0]]]);
  expect(await lookup(`@${EVIL}`, "api.allowed.test")).toEqual([EVIL]);
  const { queries } = await world.internet.report();
  expect(queries.map(({ to, name, type, via }) => `${to} ${name} ${type} ${via}`)).toEqual([
    `${RESOLVERS[0]} api.allowed.test AAAA udp`,
    `${RESOLVERS[0]} alias.allowed.test A tcp`,
    `${RESOLVERS[0]} flip.evil.test A udp`,
    `${RESOLVERS[0]} flip.evil.test A udp`,
    `${EVIL} api.allowed.test A udp`,
  ]);
});

/**
 * Peers that stall, flood or replay inside intercepted TLS: what sbx holds for them stays small, and others are
 * served meanwhile.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { EVIL, SHARED } from "../support/places.ts";
import { type Running, until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
let guest: NamespaceGuest;
beforeAll(async () => {
  world = await openWorld();
  guest = await openNamespaceGuest(world, {
    policy: "public-only",
    tls: { upstreamCa: [world.ca] },
  });
});
afterAll(async () => {
  await guest?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

const ORIGIN = "https://good.cdn.test";
const FLOWS = 40;

/** A gigabyte waits behind each; windows and buffers on the way, garbage included, are a few MiB. */
const MIB_EACH = 4;

function curl(...args: readonly string[]): string[] {
  const to = ["--resolve", `good.cdn.test:443:${SHARED}`, "--cacert", guest.authority];
  return ["curl", "-sS", ...to, ...args];
}

/**
 * Runs so many of these until every window is full; then waits until the decider holds no more than it may. A leak
 * never gets there, and garbage is gone in seconds.
 */
async function settles(argv: readonly string[]): Promise<void> {
  await guest.run(curl(`${ORIGIN}/`)); // what the first flow loads stays loaded
  const before = guest.deciderMemory();
  const running: Running[] = [];
  for (let i = 0; i < FLOWS; i++) running.push(guest.start(argv, { stdin: "" }));
  try {
    await new Promise((wake) => setTimeout(wake, 5_000));
    await until("memory to be given back", async () => {
      const { stdout, stderr } = await guest.run(curl("-m", "60", `${ORIGIN}/`));
      expect(stdout + stderr).toContain("hello from");
      return guest.deciderMemory() - before < FLOWS * MIB_EACH;
    }, 60);
  } finally {
    for (const { kill } of running) kill();
    for (const { ended } of running) await ended;
  }
}

test.each([["HTTP/1.1", "--http1.1"], ["HTTP/2", "--http2"]])(
  "guests that do not read their downloads over %s",
  async (_name, version) => {
    const argv = curl(
      version,
      "--limit-rate",
      "1",
      "-o",
      "/dev/null",
      `${ORIGIN}/bytes/1000000000`,
    );
    await settles(argv);
  },
);

test.each([["HTTP/1.1", "--http1.1"], ["HTTP/2", "--http2"]])(
  "servers that do not read their uploads over %s",
  async (_name, version) => {
    const argv = curl(version, "-T", "/dev/zero", "-H", "Expect:", `${ORIGIN}/stall`);
    await settles(["chrt", "--idle", "0", ...argv]); // curl spins while its stream's window is closed
  },
);

test("a guest that asks for a thousand names gets them, and others are served meanwhile", async () => {
  await guest.run(curl(`${ORIGIN}/`));
  const before = guest.deciderMemory();
  const script = `
import ssl, socket, sys
from concurrent.futures import ThreadPoolExecutor
context = ssl.create_default_context(cafile=sys.argv[1])
def shake(i):
    name = "n%d.evil.test" % i
    with context.wrap_socket(socket.create_connection(("${EVIL}", 443), 60), server_hostname=name) as s:
        return (("DNS", name),) == s.getpeercert()["subjectAltName"]
with ThreadPoolExecutor(16) as pool: print(sum(pool.map(shake, range(1000))))`;
  const flood = guest.start(["python3", "-c", script, guest.authority], { stdin: "" });
  const { stdout } = await guest.run(curl("-m", "60", `${ORIGIN}/`));
  expect(stdout).toContain("hello from");
  expect((await flood.ended).stdout).toBe("1000\n");
  await until("memory to be given back", () => guest.deciderMemory() - before < 100, 60);
});

test("a session of TLS 1.3 takes no early data, and is worth nothing under another name", async () => {
  const ticket = `${world.scratch}/ticket`;
  const ask = "printf 'GET / HTTP/1.1\\r\\nHost: good.cdn.test\\r\\nConnection: close\\r\\n\\r\\n'";
  const client = `openssl s_client -connect ${SHARED}:443 -tls1_3`;
  const same = `${client} -servername good.cdn.test -ign_eof`;
  const script = `
    ${ask} | ${same} -sess_out ${ticket} 2>&1 | grep -m 1 -o 'Max Early Data: 0'
    ${ask} >${ticket}.early
    ${ask} | ${same} -sess_in ${ticket} -early_data ${ticket}.early 2>&1 | grep '^Early data'
    ${client} -servername h1.tls.test -sess_in ${ticket} </dev/null 2>&1 | grep -oE '^(New|Reused)'`;
  await world.internet.reset();
  const { stdout } = await guest.run(["sh", "-c", script]);
  expect(stdout).toBe("Max Early Data: 0\nEarly data was not sent\nNew\n");
  expect((await world.internet.report()).requests).toHaveLength(2);
});

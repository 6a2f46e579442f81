/**
 * What is not HTTP inside intercepted TLS: refused, and said to be, or relayed as it is where that was asked for.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { PUBLIC, PUBLIC_2 } from "../support/places.ts";
import { until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
let strict: NamespaceGuest;
let opaque: NamespaceGuest;
beforeAll(async () => {
  world = await openWorld();
  const tls = { ports: [443, 993], upstreamCa: [world.ca] };
  strict = await openNamespaceGuest(world, { policy: "public-only", tls });
  opaque = await openNamespaceGuest(world, {
    policy: "public-only",
    tls: { ...tls, opaque: true },
  });
});
afterAll(async () => {
  await strict?.[Symbol.asyncDispose]();
  await opaque?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});
beforeEach(() => world.internet.reset());

/** Says `lines` to a server, each once the one before was answered, and prints what came back. */
async function talk(
  guest: NamespaceGuest,
  [name, address, alpn]: readonly [name: string, address: string, alpn?: string],
  lines: readonly string[],
): Promise<string> {
  const script = `
import socket, ssl, sys
name, address, alpn, ca, *lines = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
if alpn: context.set_alpn_protocols([alpn])
with context.wrap_socket(socket.create_connection((address, 993), 10), server_hostname=name) as s:
    f = s.makefile("rwb")
    if name.startswith("greets"): sys.stdout.write(f.readline().decode())
    for line in lines:
        f.write((line + "\\r\\n").encode()); f.flush()
        sys.stdout.write(f.readline().decode())`;
  const argv = ["python3", "-c", script, name, address, alpn ?? "", guest.authority, ...lines];
  const { stdout, stderr } = await guest.run(argv);
  return stdout === "" ? stderr : stdout;
}

const QUIET = ["api.allowed.test", PUBLIC] as const;
const GREETING = ["greets.tls.test", PUBLIC_2] as const;

describe("with --tls-opaque", () => {
  test.each<[string, readonly [string, string, string?], string]>([
    ["a protocol that was negotiated", [...QUIET, "imap"], "A LOGIN\r\nB\r\n"],
    ["one whose client speaks first", QUIET, "A LOGIN\r\nB\r\n"],
    ["one whose server speaks first", GREETING, "* welcome\r\nA LOGIN\r\nB\r\n"],
  ])("relays %s", async (_what, to, answer) => {
    expect(await talk(opaque, to, ["a login", "b"])).toBe(answer);
  });

  test("HTTP stays HTTP, whether it was negotiated or not", async () => {
    for (const alpn of ["--alpn", "--no-alpn"]) {
      const argv = ["curl", "-sS", "-m", "20", "--http1.1", alpn, "--cacert", opaque.authority];
      const to = ["--resolve", `none.tls.test:443:${PUBLIC_2}`, "-H", "Host: evil.test"];
      const { stdout } = await opaque.run([...argv, ...to, "https://none.tls.test/"]);
      expect(stdout).toContain("(host-mismatch)");
    }
    expect((await world.internet.report()).requests).toEqual([]);
  });
});

test("whom --tls-idle-timeout does not see move for so long is let go, and whom it does see is not", async () => {
  const tls = { ports: [993], upstreamCa: [world.ca], opaque: true, idleMs: 1_000 };
  await using guest = await openNamespaceGuest(world, { policy: "public-only", tls });
  const script = `
import socket, ssl, sys, time
context = ssl.create_default_context(cafile=sys.argv[2])
context.set_alpn_protocols(["imap"])
s = context.wrap_socket(socket.create_connection((sys.argv[1], 993), 10), server_hostname="api.allowed.test")
for i in range(12):
    s.sendall(b"a\\r\\n"); s.recv(100); time.sleep(0.2)
print("kept", flush=True)
s.settimeout(60)
try: print("end", s.recv(100))
except OSError as error: print("end", error)`;
  const { stdout } = await guest.run(["python3", "-c", script, PUBLIC, guest.authority]);
  expect(stdout).toMatch(/^kept\nend /);
  expect(stdout).not.toContain("timed out");
  await until(
    "the journal's line",
    () => guest.journal.some((line) => line.event === "closed" && line.end === "idle"),
  );
});

describe("without it", () => {
  test("a protocol that was negotiated is refused before anybody is dialled", async () => {
    expect(await talk(strict, [...QUIET, "imap"], ["a"])).toMatch(/no.application.protocol/i);
    expect((await world.internet.report()).accepts).toEqual({});
    expect(strict.journal.findLast(({ event }) => event === "denied"))
      .toMatchObject({ reason: "tls-protocol" });
  });

  test("a client that speaks something else is answered in HTTP, and its server hears nothing", async () => {
    expect(await talk(strict, QUIET, [`${"a".repeat(9_000)} login\r\n`])).toStartWith(
      "HTTP/1.1 400",
    );
    await until(
      "the journal's line",
      () => strict.journal.some(({ event }) => event === "request"),
    );
    expect(strict.journal.findLast(({ event }) => event === "request"))
      .toMatchObject({ reason: "request-malformed" });
    const { bytes } = await world.internet.report();
    expect(bytes[`${PUBLIC}:993`]).toBeLessThan(4_000); // The handshake, and nothing in it.
  });
});

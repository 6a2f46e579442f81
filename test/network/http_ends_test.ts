/**
 * How relayed connections end on the wire, and what the journal says of it: an end in order, whoever closes first
 * and how; and an answer that was cut off, which no client may take for whole.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
let guest: NamespaceGuest;
beforeAll(async () => {
  world = await openWorld();
  guest = await openNamespaceGuest(world, {
    policy: "allow-all",
    rules: ["allow@good.cdn.test"],
    tls: { upstreamCa: [world.ca] },
  });
});
afterAll(async () => {
  await guest?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

/** The lines about intercepted flows, once those that `work` opened are closed. */
async function journalOf(work: () => Promise<unknown>, flows = 1) {
  const since = guest.journal.length;
  await work();
  const closed = () =>
    guest.journal.slice(since).filter(({ event, tls }) => event === "closed" && tls !== undefined);
  await until("the ends of the flows", () => closed().length >= flows, 120);
  const requests = guest.journal.slice(since).filter(({ event }) => event === "request");
  return { ends: closed().map(({ end }) => end), requests };
}

function curl(...args: readonly string[]) {
  return guest.run(["curl", "-sS", "-m", "60", "--cacert", guest.authority, ...args]);
}

describe("an answer that ends with its connection", () => {
  const answer = async (how: string) => {
    let got = { stdout: "", status: 0 as number | null };
    const told = await journalOf(async () => {
      got = await curl("--http1.1", `https://good.cdn.test/ending/${how}`);
    });
    return { ...told, got };
  };

  test("is whole when its server says so", async () => {
    const { got, ends, requests } = await answer("order");
    expect(got).toMatchObject({ stdout: "some of it\n", status: 0 });
    expect(ends).toEqual(["eof"]);
    expect(requests).toMatchObject([{ status: 200, down: 11 }]);
    expect(requests[0]?.reason).toBeUndefined();
  });

  // curl takes an end without close_notify for an end, here as it would from the server itself; Python does
  // not when it is asked not to.
  const PYTHON = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
raw = socket.create_connection((socket.gethostbyname("good.cdn.test"), 443), 15)
s = context.wrap_socket(raw, server_hostname="good.cdn.test", suppress_ragged_eofs=False)
s.sendall(b"GET /ending/%s HTTP/1.1\\r\\nHost: good.cdn.test\\r\\n\\r\\n" % sys.argv[2].encode())
got = b""
try:
    while True:
        part = s.recv(9999)
        if not part: how = "closed"; break
        got += part
except ssl.SSLEOFError as e: how = "cut" if e.reason == "UNEXPECTED_EOF_WHILE_READING" else "reset"
print(how, got.endswith(b"some of it\\n"))`;

  test.each([["order", "closed", 0], ["cut", "cut", 0], ["reset", "reset", 56]])(
    "reaches its client to the last byte, and ends as its server ended it: %s",
    async (how, seen, curls) => {
      await journalOf(async () => {
        const got = await guest.run(["python3", "-c", PYTHON, guest.authority, how]);
        expect(got.stdout).toBe(`${seen} True\n`);
      });
      const { got: { stdout, status }, ends, requests } = await answer(how);
      expect([stdout, status]).toEqual(["some of it\n", curls]);
      expect(ends).toEqual([how === "order" ? "eof" : "reset-upstream"]);
      const reason = how === "order" ? undefined : "upstream-closed";
      expect(requests).toMatchObject([{ status: 200, down: 11 }]);
      expect(requests[0]?.reason).toBe(reason);
    },
  );
});

test("an answer that contradicts itself is refused, and told like a refused request, without its query", async () => {
  const { requests } = await journalOf(async () => {
    const url = "https://good.cdn.test/ending/malformed?token=secret";
    const { stdout } = await curl("--http1.1", "-w", "%{http_code}", url);
    expect(stdout).toEndWith("502");
    expect(stdout).not.toContain("some");
  });
  expect(requests).toMatchObject([{
    method: "GET",
    host: "good.cdn.test",
    path: "/ending/malformed",
    status: 502,
    reason: "upstream-malformed",
  }]);
  await until("the denial", () => guest.denials.length > 0);
  expect(guest.denials.join("\n")).toStartWith(
    "denied GET https://good.cdn.test/ending/malformed: upstream-malformed, the server's answer is malformed",
  );
  expect(guest.denials.join("\n")).not.toContain("secret");
});

describe("a guest whose TLS breaks", () => {
  const PYTHON = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
raw = socket.create_connection((socket.gethostbyname("good.cdn.test"), 443), 15)
into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
s = context.wrap_bio(into, out, server_hostname="good.cdn.test")
def step(work):
    while True:
        try: return work()
        except ssl.SSLWantReadError:
            raw.sendall(out.read())
            into.write(raw.recv(65536))
step(s.do_handshake)
raw.sendall(out.read())
if sys.argv[2] == "idle":
    step(lambda: s.write(b"GET / HTTP/1.1\\r\\nHost: good.cdn.test\\r\\n\\r\\n"))
    raw.sendall(out.read())
    got = b""
    while b"HTTP/1.1\\n" not in got: got += step(lambda: s.read(9999))
else:
    s.write(b"POST /sink HTTP/1.1\\r\\nHost: good.cdn.test\\r\\nContent-Length: 10\\r\\n\\r\\n12345")
    raw.sendall(out.read())
s.write(b"67890")
record = bytearray(out.read())
if sys.argv[3] == "flip": record[-1] ^= 1
elif sys.argv[3] == "alert": record = bytearray([21, 3, 3, 0, 2, 1, 0])
else: record = bytearray(b"\\0" * 64)
raw.sendall(record)
try:
    while raw.recv(9999): pass
    print("ended")
except ConnectionResetError: print("reset")`;

  test.each([
    ["idle", "flip"],
    ["idle", "alert"],
    ["busy", "flip"],
    ["busy", "alert"],
    ["busy", "zeros"],
  ])("is reset, and the journal says so: %s, %s", async (when, how) => {
    let saw = "";
    const { ends, requests } = await journalOf(async () => {
      saw = (await guest.run(["python3", "-c", PYTHON, guest.authority, when, how])).stdout;
    });
    expect(saw).toBe("reset\n");
    expect(ends).toEqual(["reset-guest"]);
    if (when === "idle") expect(requests).toMatchObject([{ status: 200 }]);
    else expect(requests[0]?.status).toBeUndefined(); // its server never had all of it
  });
});

test("a client that offers HTTP/1.0 alone in ALPN is one of HTTP/1", async () => {
  const python = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
context.set_alpn_protocols(["http/1.0"])
s = context.wrap_socket(socket.create_connection(("good.cdn.test", 443), 15), server_hostname="good.cdn.test")
s.sendall(b"GET / HTTP/1.0\\r\\nHost: good.cdn.test\\r\\n\\r\\n")
got = b""
while True:
    part = s.recv(9999)
    if not part: break
    got += part
print(s.selected_alpn_protocol(), got.split(b"\\r\\n")[0].decode())`;
  let stdout = "";
  const { ends } = await journalOf(async () => {
    ({ stdout } = await guest.run(["python3", "-c", python, guest.authority]));
  });
  expect(stdout).toBe("http/1.0 HTTP/1.1 200 OK\n");
  expect(ends).toEqual(["eof"]);
});

describe("a flow ends in order", () => {
  const PYTHON = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
s = context.wrap_socket(socket.create_connection((socket.gethostbyname("good.cdn.test"), 443), 15), server_hostname="good.cdn.test")
s.sendall(b"GET / HTTP/1.1\\r\\nHost: good.cdn.test\\r\\n\\r\\n")
got = b""
while b"HTTP/1.1\\n" not in got: got += s.recv(9999)
s.close()`; // without close_notify
  test.each<[what: string, argv: (authority: string) => readonly string[]]>([
    [
      "curl over HTTP/1.1",
      (ca) => ["curl", "-sS", "--http1.1", "--cacert", ca, "https://good.cdn.test/"],
    ],
    [
      "curl over HTTP/2",
      (ca) => ["curl", "-sS", "--http2", "--cacert", ca, "https://good.cdn.test/"],
    ],
    [
      "openssl with nothing to say",
      () => ["sh", "-c", "openssl s_client -connect good.cdn.test:443 < /dev/null"],
    ],
    ["a client that closes without close_notify", (ca) => ["python3", "-c", PYTHON, ca]],
  ])("with %s, every time", async (_what, argv) => {
    const { ends } = await journalOf(async () => {
      for (let round = 0; round < 10; round++) await guest.run(argv(guest.authority));
    }, 10);
    expect(ends).toEqual(Array(10).fill("eof"));
  }, 240_000);
});

/**
 * Requests inside intercepted sessions, on the wire and at native speed: what a hostile guest tries, with
 * what its server saw of it.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "bun:test";
import { type NamespaceGuest, openNamespaceGuest } from "../support/namespace_guest.ts";
import { openWorld, type World } from "../support/world.ts";

let world: World;
let guest: NamespaceGuest;
beforeAll(async () => {
  world = await openWorld();
  guest = await openNamespaceGuest(world, {
    policy: "public-only",
    rules: ["deny@bad.cdn.test"],
    tls: { upstreamCa: [world.ca] },
  });
});
afterAll(async () => {
  await guest?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});
beforeEach(() => world.internet.reset());

const HOST = "Host: good.cdn.test";

function head(...lines: readonly string[]): string {
  return `${lines.join("\r\n")}\r\n\r\n`;
}

/** Says `bytes` inside a session for good.cdn.test and prints what comes back until the end. */
const SAY = `
import socket, ssl, sys
context = ssl.create_default_context(cafile=sys.argv[1])
context.set_alpn_protocols(["http/1.1"])
raw = socket.create_connection((socket.gethostbyname("good.cdn.test"), 443), 15)
with context.wrap_socket(raw, server_hostname="good.cdn.test") as s:
    s.sendall(sys.stdin.buffer.read())
    try:
        while chunk := s.recv(65536):
            sys.stdout.buffer.write(chunk)
    except (TimeoutError, ConnectionError, ssl.SSLError) as e:
        print("cut off:", type(e).__name__)
`;

async function say(bytes: string): Promise<string> {
  const argv = ["python3", "-c", SAY, guest.authority];
  const { stdout } = await guest.run(argv, { stdin: new TextEncoder().encode(bytes) });
  return stdout;
}

function curl(...args: readonly string[]) {
  return guest.run(["curl", "-sS", "-m", "120", "--cacert", guest.authority, ...args]);
}

function requests() {
  return guest.journal.filter(({ event }) => event === "request");
}

describe("a request that its server never sees", () => {
  test.each<[what: string, bytes: string, status: number, reason: string]>([
    [
      "has a length and chunks",
      head("POST / HTTP/1.1", HOST, "Content-Length: 5", "Transfer-Encoding: chunked") +
      "0\r\n\r\n" + head("GET /smuggled HTTP/1.1", HOST),
      400,
      "request-malformed",
    ],
    ["has two hosts", head("GET / HTTP/1.1", HOST, "Host: bad.cdn.test"), 400, "request-malformed"],
    [
      "hides a host behind a line feed",
      head("GET / HTTP/1.1", HOST, "X: a\nHost: bad.cdn.test"),
      400,
      "request-malformed",
    ],
    ["is for a proxy", head("GET https://bad.cdn.test/ HTTP/1.1", HOST), 400, "request-malformed"],
    ["is for another host", head("GET / HTTP/1.1", "Host: bad.cdn.test"), 421, "host-mismatch"],
    ["is CONNECT", head("CONNECT bad.cdn.test:443 HTTP/1.1", HOST), 405, "method"],
    ["is TRACE", head("TRACE / HTTP/1.1", HOST), 405, "method"],
    ["is HTTP/2 unannounced", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, "request-malformed"],
    [
      "has a giant head",
      head("GET / HTTP/1.1", HOST, `X: ${"a".repeat(70_000)}`),
      431,
      "request-limit",
    ],
  ])("%s", async (_what, bytes, status, reason) => {
    const answer = await say(bytes);
    expect(answer).toStartWith(`HTTP/1.1 ${status} `);
    expect(answer).toContain(`sbx-reason: ${reason}\r\n`);
    expect((await world.internet.report()).requests).toEqual([]);
    expect(requests().at(-1)).toMatchObject({ status, reason });
  });

  test.each(["--http1.1", "--http2"])(
    "names another host on a connection of curl %s",
    async (http) => {
      const args = ["-H", "Host: bad.cdn.test", "-o", "-", "-w", "%{http_code}"];
      const { stdout } = await curl(http, ...args, "https://good.cdn.test/");
      expect(stdout).toBe(
        "sbx: the request is for another host than its connection: bad.cdn.test (host-mismatch)\n421",
      );
      expect((await world.internet.report()).requests).toEqual([]);
    },
  );
});

test("requests sent ahead are answered in order, up to the one that is refused", async () => {
  const answer = await say([
    head("GET /one HTTP/1.1", HOST),
    head("GET /two HTTP/1.1", HOST),
    head("GET /three HTTP/1.1", "Host: bad.cdn.test"),
    head("GET /four HTTP/1.1", HOST),
  ].join(""));
  expect(answer.match(/^HTTP\/1\.1 \d+/gm)).toEqual([
    "HTTP/1.1 200",
    "HTTP/1.1 200",
    "HTTP/1.1 421",
  ]);
  const { requests: seen } = await world.internet.report();
  expect(seen.map(({ path }) => path)).toEqual(["/one", "/two"]);
});

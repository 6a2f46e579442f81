/**
 * Requests inside intercepted sessions, on the wire and at native speed: what a hostile guest tries, with
 * what its server saw of it, and bodies of any size with what sbx holds of them.
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

describe.each(["--http1.1", "--http2"])("over %s", (http) => {
  const GIB = 2 ** 30;

  test(
    "a gibibyte comes down and goes up unchanged, and sbx holds next to nothing of it",
    async () => {
      const before = guest.deciderMemory();
      const url = "https://good.cdn.test";
      const fetching = `curl -sS -m 120 ${http} --cacert "$1" ${url}/bytes/${GIB}`;
      const sending = `curl -sS -m 120 ${http} --cacert "$1" -T - -X POST ${url}/sink`;
      // Down and up at once; what arrived is hashed on both ends.
      const script = `${fetching} | ${sending}`;
      const running = guest.start(["sh", "-c", script, "sh", guest.authority], { limit: 150 });
      let most = before;
      const watch = setInterval(() => most = Math.max(most, guest.deciderMemory()), 100);
      const { stdout } = await running.ended;
      clearInterval(watch);
      const [bytes, sum] = stdout.trim().split(" ");
      expect(Number(bytes)).toBe(GIB);
      expect(sum).toBe(SUM_OF_GIB);
      expect(most - before).toBeLessThan(200);
    },
    180_000,
  );

  test("a guest that does not read its download costs no more than a window", async () => {
    const before = guest.deciderMemory();
    const args = ["-m", "60", "--cacert", guest.authority, http, "-sS"];
    const stalled = guest.start([
      "sh",
      "-c",
      `curl ${args.join(" ")} https://good.cdn.test/bytes/${GIB} | sleep 60`,
    ]);
    await Bun.sleep(4_000);
    expect(guest.deciderMemory() - before).toBeLessThan(100);
    // and others are served meanwhile
    expect((await curl(http, "https://good.cdn.test/")).stdout).toContain("hello");
    stalled.kill("SIGKILL");
    await stalled.ended.catch(() => {});
  }, 90_000);
});

/** Of 2^30 bytes of the servers' pattern. */
const SUM_OF_GIB = "54a02810b260441e2f330f3cd0b3cb9bad61a9344b5877a4bc843f062b570a2c";

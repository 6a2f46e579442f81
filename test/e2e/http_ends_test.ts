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

  test.each(["cut", "reset"])("is not when it was %s, and its client learns that", async (how) => {
    const { got, ends, requests } = await answer(how);
    expect(got.status).toBe(56); // CURLE_RECV_ERROR
    expect(ends).toEqual(["reset-upstream"]);
    expect(requests).toMatchObject([{ status: 200, down: 11, reason: "upstream-closed" }]);
  });
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

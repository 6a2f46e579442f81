/** How the connections of an HTTP/1 relay end: in order, cut off, or by a deadline. */
import { describe, expect, test } from "bun:test";
import { setImmediate } from "node:timers";
import { ManualClock } from "../support/manual_clock.ts";
import { type Conversation, converse, head, Peer } from "./conversation.ts";
import { type SessionEnd, sessionPair } from "./pair.ts";

const HOST = "Host: api.allowed.test";
const GET = head("GET /a?b=c HTTP/1.1", HOST, "X-One: 1");
const OK = head("HTTP/1.1 200 OK", "Content-Length: 2") + "hi";

/** An answer whose end is that of its connection, as far as it has come; and such that state it. */
const UNTIL_CLOSE = head("HTTP/1.1 200 OK", "Connection: close") + "half";
const MILLION = head("HTTP/1.1 200 OK", "Content-Length: 1000000") + "half";
const WHOLE = head("HTTP/1.1 200 OK", "Content-Length: 200000") + "half";
const CHUNKS = head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + "half";

describe("ends", () => {
  test("a guest that leaves in the middle of its request takes it back", async () => {
    const { guest, server, closed } = converse();
    guest.say(head("POST / HTTP/1.1", HOST, "Content-Length: 10") + "12345");
    await server.hears("12345");
    guest.stream.end();
    await closed;
    expect(server.ended).toBe(false); // reset, not ended
  });

  test("a server that leaves in the middle of its answer is not taken for one that finished", async () => {
    const { guest, server, exchanges } = converse();
    guest.say(GET);
    await server.hears("\r\n\r\n");
    server.say(head("HTTP/1.1 200 OK", "Content-Length: 10") + "12345");
    await guest.hears("12345");
    server.stream.end();
    expect(await guest.over()).toEndWith("Content-Length: 10\r\n\r\n12345"); // which its client counts
    expect(exchanges).toMatchObject([{ status: 200, refused: { reason: "upstream-malformed" } }]);
  });

  test.each<[what: string, head: string, ending: (server: SessionEnd) => void, whole: boolean]>([
    ["until its end", UNTIL_CLOSE, (server) => server.end(), true],
    ["until its end, cut off", UNTIL_CLOSE, (server) => server.endCut(), false],
    ["with a length, cut off", MILLION, (server) => server.endCut(), false],
    ["with a length, ended", MILLION, (server) => server.end(), false],
    ["with its whole length, ended", WHOLE, (server) => server.end(), true],
    ["with its whole length, cut off", WHOLE, (server) => server.endCut(), true],
    ["in chunks, cut off", CHUNKS, (server) => server.endCut(), false],
    ["in chunks, ended", CHUNKS, (server) => server.end(), false],
    ["in chunks that break", CHUNKS, (server) => void server.write("zz\r\n"), false],
  ])(
    "an answer %s is delivered to its last byte, and ends inside TLS as it ended there",
    async (_what, head, ending, whole) => {
      const [guest, guestSide] = sessionPair();
      const [server, serverSide] = sessionPair();
      const upstream = { kind: "open", stream: serverSide } as const;
      const { exchanges, ends } = converse({ guest: guestSide, upstream });
      const client = new Peer(guest);
      const origin = new Peer(server);
      client.say(GET);
      await origin.hears("\r\n\r\n");
      guest.pause(); // it takes nothing until its server is gone
      const body = "half".repeat(50_000);
      server.write(head.slice(0, -4) + (head === CHUNKS ? `30d40\r\n${body}\r\n` : body));
      ending(server);
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
      guest.resume();
      const heard = await client.over();
      expect(heard.split("half").length - 1).toBe(50_000);
      expect([client.ended, guest.fault]).toEqual([true, whole ? null : "cut"]);
      guest.end();
      expect(exchanges).toMatchObject([{ status: 200, down: body.length }]);
      expect(ends).toEqual([whole ? "eof" : "reset-upstream"]);
    },
  );

  test("requests sent ahead of a server that closes are not answered, and the answer before is whole", async () => {
    const { guest, server, exchanges, closed } = converse();
    guest.say(GET + GET + GET);
    await server.hears("\r\n\r\n");
    guest.stream.pause();
    const body = "x".repeat(100_000);
    server.say(head("HTTP/1.1 200 OK", "Content-Length: 100000", "Connection: close") + body);
    server.stream.end();
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    guest.stream.resume();
    expect(await guest.over()).toEndWith(`\r\n\r\n${body}`);
    expect(guest.ended).toBe(true);
    expect(server.heard).toBe(GET);
    guest.stream.end();
    await closed;
    expect(exchanges).toMatchObject([{ status: 200, down: 100_000 }]);
  });

  test("a guest that half-closes after its request is answered in full", async () => {
    const { guest, server, ends, closed } = converse();
    guest.say(GET);
    guest.stream.end();
    await server.hears("\r\n\r\n");
    const body = "x".repeat(100_000);
    server.say(head("HTTP/1.1 200 OK", "Content-Length: 100000") + body);
    server.stream.on("end", () => server.stream.end());
    expect(await guest.over()).toEndWith(`\r\n\r\n${body}`);
    await closed;
    expect(ends).toEqual(["eof"]);
  });

  test.each<[what: string, ending: (guest: SessionEnd) => void, end: string]>([
    ["breaks while idle", (guest) => guest.breakRecord(), "reset-guest"],
    ["is cut off while idle", (guest) => guest.endCut(), "eof"],
    ["ends while idle", (guest) => void guest.end(), "eof"],
  ])("a guest whose session %s ends with %s", async (_what, ending, end) => {
    const [guest, guestSide] = sessionPair();
    const { server, ends } = converse({ guest: guestSide });
    const client = new Peer(guest);
    client.say(GET);
    await server.hears("\r\n\r\n");
    server.say(OK);
    await client.hears("hi");
    ending(guest);
    await server.over();
    expect(ends).toEqual([end as (typeof ends)[number]]);
  });

  test.each<[what: string, ending: (guest: SessionEnd) => void]>([
    ["breaks", (guest) => guest.breakRecord()],
    ["is cut off", (guest) => guest.endCut()],
  ])("a request whose guest's session %s in the middle is taken back", async (_what, ending) => {
    const [guest, guestSide] = sessionPair();
    const { server, ends } = converse({ guest: guestSide });
    new Peer(guest).say(head("POST / HTTP/1.1", HOST, "Content-Length: 10") + "12345");
    await server.hears("12345");
    ending(guest);
    await server.over();
    expect(server.ended).toBe(false); // reset, not ended
    expect(ends).toEqual(["reset-guest"]);
  });

  test("an answer that is whole is delivered when its server says more, or leaves, before the request is", async () => {
    for (const after of ["surplus", null]) {
      const { guest, server, exchanges } = converse();
      guest.say(head("POST / HTTP/1.1", HOST, "Content-Length: 10") + "12345");
      await server.hears("12345");
      server.say(OK);
      await guest.hears("hi");
      if (after === null) server.stream.destroy();
      else server.say(after);
      expect(await guest.over()).toBe(OK);
      expect(guest.ended).toBe(true);
      expect(exchanges).toMatchObject([{ status: 200, down: 2 }]);
      expect(exchanges[0]?.refused).toBeUndefined();
    }
  });

  test("a server that leaves without an answer is told about on the first request only", async () => {
    const first = converse();
    first.guest.say(GET);
    await first.server.hears("\r\n\r\n");
    first.server.stream.end();
    expect(await first.guest.over()).toContain("sbx-reason: upstream-closed");

    const second = converse();
    second.guest.say(GET);
    await second.server.hears("\r\n\r\n");
    second.server.say(OK);
    await second.guest.hears("hi");
    second.guest.say(GET);
    await second.server.hears(GET + GET);
    second.server.stream.end();
    expect(await second.guest.over()).toBe(OK); // a client sends again on a new connection
  });

  test("a farewell to an idle connection closes it unheard", async () => {
    const { guest, server } = converse();
    guest.say(GET);
    await server.hears("\r\n\r\n");
    server.say(OK);
    await guest.hears("hi");
    server.say(head("HTTP/1.1 408 Request Timeout", "Connection: close"));
    expect(await guest.over()).toBe(OK);
  });

  test("without a server every request is answered with what failed", async () => {
    const refusal = { reason: "upstream-untrusted", detail: "expired" } as const;
    const { guest, exchanges } = converse({ upstream: { kind: "failed", refusal } });
    guest.say(GET);
    const heard = await guest.over();
    expect(heard).toStartWith("HTTP/1.1 502 Bad Gateway\r\n");
    expect(heard).toContain("expired (upstream-untrusted)");
    expect(exchanges).toMatchObject([{ status: 502, refused: refusal }]);
  });
});

describe("the end that is told", () => {
  test.each<[end: string, what: string, step: (c: Conversation) => void | Promise<unknown>]>([
    ["eof", "the guest closes after its answer", async ({ guest, server }) => {
      server.say(OK);
      await guest.hears("hi");
      guest.stream.end();
    }],
    ["eof", "the guest resets an idle connection", async ({ guest, server }) => {
      server.say(OK);
      await guest.hears("hi");
      guest.stream.destroy();
    }],
    ["eof", "the server closes after its answer", ({ server }) => {
      server.say(OK);
      server.stream.end();
    }],
    ["eof", "the server ends an answer by its end", ({ server }) => {
      server.say(UNTIL_CLOSE);
      server.stream.end();
    }],
    ["eof", "the guest is refused", async ({ guest, server }) => {
      server.say(OK);
      await guest.hears("hi");
      guest.say(head("GET / HTTP/1.1", "Host: evil.test"));
    }],
    [
      "reset-guest",
      "the guest leaves before its answer",
      ({ guest }) => void guest.stream.destroy(),
    ],
    ["reset-guest", "the guest leaves in the middle of a head", async ({ guest, server }) => {
      server.say(OK);
      await guest.hears("hi");
      guest.say("GET / HT");
      await new Promise(setImmediate);
      guest.stream.end();
    }],
    [
      "reset-upstream",
      "the server leaves without an answer",
      ({ server }) => void server.stream.end(),
    ],
    [
      "reset-upstream",
      "the server is lost without an answer",
      ({ server }) => void server.stream.destroy(),
    ],
    ["reset-upstream", "the server's answer is cut off", async ({ guest, server }) => {
      server.say(UNTIL_CLOSE);
      await guest.hears("half");
      server.stream.destroy();
    }],
    [
      "reset-upstream",
      "the server's answer is none",
      ({ server }) => server.say("SSH-2.0-x\r\n\r\n"),
    ],
  ])("is %s when %s", async (end, _what, step) => {
    const conversation = converse();
    const { guest, server, ends } = conversation;
    guest.stream.on("end", () => guest.stream.end());
    server.stream.on("end", () => server.stream.end());
    guest.say(GET);
    await server.hears("\r\n\r\n");
    await step(conversation);
    await conversation.closed;
    expect(ends).toEqual([end as (typeof ends)[number]]);
  });

  test("of an answer that only its end ends is a reset where that was lost, after the last byte", async () => {
    const clock = new ManualClock(); // on which no time passes
    const [guest, guestSide] = sessionPair();
    const { server, ends } = converse({ guest: guestSide, clock });
    const client = new Peer(guest);
    client.say(GET);
    await server.hears("\r\n\r\n");
    guest.pause();
    // The second waits for the guest, and is too little for its writer to hear of a drain.
    for (const part of [UNTIL_CLOSE + "x".repeat(40_000), "y".repeat(40_000)]) {
      server.say(part);
      for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    }
    server.stream.destroy();
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    guest.resume();
    expect(await client.over()).toEndWith("y".repeat(40_000));
    expect(client.ended).toBe(false);
    expect(ends).toEqual(["reset-upstream"]);
  });

  test("of an answer that only the end of its connection ends is no end where that was lost", async () => {
    const { guest, server, exchanges } = converse();
    guest.say(GET);
    await server.hears("\r\n\r\n");
    server.say(UNTIL_CLOSE);
    await guest.hears("half");
    server.stream.destroy();
    await guest.over();
    expect(guest.ended).toBe(false);
    expect(exchanges).toMatchObject([{
      status: 200,
      down: 4,
      refused: { reason: "upstream-closed" },
    }]);
  });
});

describe("deadlines", () => {
  test("a head that does not end in time is answered with 408, however steadily it drips", async () => {
    const clock = new ManualClock();
    const { guest, server } = converse({ clock, limits: { headMs: 1000, idleMs: 5000 } });
    for (const byte of "GET / HTT") {
      guest.say(byte);
      await Bun.sleep(1);
      await clock.pass(200);
    }
    expect(await guest.over()).toStartWith("HTTP/1.1 408 Request Timeout\r\n");
    expect(server.heard).toBe("");
  });

  test("an empty line is no head: what comes after it has all the time of an idle connection", async () => {
    const clock = new ManualClock();
    const { guest, server, ends } = converse({ clock, limits: { headMs: 1000, idleMs: 5000 } });
    guest.say("\r");
    await Bun.sleep(1);
    guest.say("\n");
    await Bun.sleep(1);
    await clock.pass(4_000);
    guest.say(GET);
    await server.hears("\r\n\r\n");
    server.say(OK);
    expect(await guest.hears("hi")).toBe(OK);
    guest.say("\r\n");
    guest.stream.end();
    await server.over();
    expect(ends).toEqual(["eof"]);
  });

  test("an idle connection is closed, one with a request under way is not", async () => {
    const clock = new ManualClock();
    const limits = { idleMs: 5000, silenceMs: 60_000 };
    const { guest, server } = converse({ clock, limits });
    guest.say(GET);
    await server.hears("\r\n\r\n");
    await clock.pass(30_000);
    server.say(OK);
    await guest.hears("hi");
    await clock.pass(5_001);
    expect(await guest.over()).toBe(OK);
    expect(guest.ended).toBe(true);
  });

  test("an exchange on which nothing moves is cut off", async () => {
    const clock = new ManualClock();
    const { guest, server, exchanges } = converse({ clock, limits: { silenceMs: 60_000 } });
    guest.say(GET);
    await server.hears("\r\n\r\n");
    await clock.pass(60_001);
    await guest.over();
    expect(guest.ended).toBe(false);
    expect(exchanges).toHaveLength(1);
  });
});

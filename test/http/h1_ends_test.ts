/** How the connections of an HTTP/1 relay end: in order, cut off, or by a deadline. */
import { describe, expect, test } from "bun:test";
import { setImmediate } from "node:timers";
import { ManualClock } from "../support/manual_clock.ts";
import { type Conversation, converse, head } from "./conversation.ts";

const HOST = "Host: api.allowed.test";
const GET = head("GET /a?b=c HTTP/1.1", HOST, "X-One: 1");
const OK = head("HTTP/1.1 200 OK", "Content-Length: 2") + "hi";

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
    await guest.over();
    expect(guest.ended).toBe(false);
    expect(exchanges).toMatchObject([{ status: 200, refused: { reason: "upstream-malformed" } }]);
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

/** An answer whose end is that of its connection, as far as it has come. */
const UNTIL_CLOSE = head("HTTP/1.1 200 OK", "Connection: close") + "half";

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

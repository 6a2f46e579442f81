/** Answers that go on once they are whole, and transforms that learn of the end of theirs. */
import { describe, expect, test } from "bun:test";
import type { BodyTransform } from "../../lib/http/gate.ts";
import { Code } from "../../lib/http/h2/frame.ts";
import { converse, head, type Peer } from "./conversation.ts";
import { converse as converse2, GET as GET2, POST } from "./h2_conversation.ts";
import { ends, settle } from "./h2_peer.ts";
import { careful, HELD, REAL, Replacing } from "./rewriting.ts";

const HOST = "Host: api.allowed.test";
const GET = head("GET / HTTP/1.1", HOST);

const body = `a${REAL}${REAL.slice(0, 2)}${REAL}b${REAL.slice(0, 3)}`;
const sent = body.replaceAll(REAL, HELD);

const cuts = Array.from(body, (_, at): [string, string] => [body.slice(0, at), body.slice(at)]);

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

const whole = (transform: BodyTransform) => () =>
  ({ kind: "pass", answer: () => ({ body: transform, whole: true }) }) as const;

describe("an answer of HTTP/1", () => {
  test.each(cuts)(
    "that is to be whole states its length, cut at %j",
    async (before, after) => {
      const { guest, server } = converse({ gate: whole(new Replacing(REAL, HELD)) });
      guest.say(GET);
      await server.hears("\r\n\r\n");
      server.say(head("HTTP/1.1 200 OK", `Content-Length: ${body.length}`, "X: 1") + before);
      await settle();
      expect(guest.heard).toBe("");
      server.say(after);
      await guest.hears(
        head("HTTP/1.1 200 OK", "X: 1", `Content-Length: ${sent.length}`) + sent,
      );
      guest.say(GET);
      await server.hears(GET + GET);
    },
  );

  test("that is to be whole and has no length goes on as it comes", async () => {
    const { guest, server } = converse({ gate: whole(new Replacing(REAL, HELD)) });
    guest.say(GET);
    await server.hears("\r\n\r\n");
    server.say(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + chunk(`${REAL}!`));
    await guest.hears(chunk(`${HELD}!`));
  });

  test.each<[what: string, after: string | null, status: number]>([
    ["must not go on", "bad", 403],
    ["is cut off", null, 502],
  ])("that is to be whole and %s becomes a page", async (_, after, status) => {
    const { guest, server, exchanges } = converse({ gate: whole(careful()) });
    guest.say(GET);
    await server.hears("\r\n\r\n");
    server.say(head("HTTP/1.1 200 OK", "Content-Length: 7") + "good");
    if (after === null) server.stream.end();
    else server.say(after);
    const heard = await guest.over();
    expect(heard).toStartWith(`HTTP/1.1 ${status} `);
    expect(heard).not.toContain("good");
    expect(exchanges).toMatchObject([{ status }]);
  });

  test.each<[string, (server: Peer) => void]>([
    ["ended", (server) => server.say("end")],
    ["was cut off", (server) => server.stream.destroy()],
    ["must not go on", (server) => server.say("bad")],
  ])("that %s lets both transforms know, once", async (_, last) => {
    let closed = 0;
    const transform = () => ({ ...careful(), close: () => closed++ });
    const { guest, server } = converse({
      gate: () => ({
        kind: "pass",
        body: transform(),
        answer: () => ({ body: transform() }),
      }),
    });
    guest.say(head("POST / HTTP/1.1", HOST, "Content-Length: 1") + "x");
    await server.hears("x");
    server.say(head("HTTP/1.1 200 OK", "Content-Length: 3"));
    await guest.hears("\r\n\r\n");
    expect(closed).toBe(0);
    last(server);
    await settle();
    expect(closed).toBe(2);
    guest.stream.destroy();
    await settle();
    expect(closed).toBe(2);
  });
});

describe("an answer of HTTP/2", () => {
  test.each(cuts)(
    "that is to be whole states its length, cut at %j",
    async (before, after) => {
      const { guest, server } = await converse2({ gate: whole(new Replacing(REAL, HELD)) });
      guest.headers(1, GET2);
      await server.hears("headers");
      server.headers(1, { ":status": "200", "content-length": String(body.length) }, false);
      server.data(1, before);
      await settle();
      expect(guest.on(1)).toEqual([]);
      server.data(1, after, true);
      expect(await ends(guest, 1)).toBe(sent);
      const { fields } = await guest.hears("headers");
      expect(fields).toEqual({ ":status": "200", "content-length": String(sent.length) });
    },
  );

  test("that is to be whole may end in trailers, or have no length and go on", async () => {
    const { guest, server } = await converse2({ gate: whole(new Replacing(REAL, HELD)) });
    guest.headers(1, GET2);
    await server.hears("headers");
    server.headers(1, { ":status": "200", "content-length": "4" }, false);
    server.data(1, REAL);
    server.headers(1, { "x-sum": REAL });
    expect(await ends(guest, 1)).toBe(HELD);
    expect(guest.on(1).at(-1)).toMatchObject({ fields: { "x-sum": HELD }, end: true });
    guest.headers(3, GET2);
    await server.hears("headers", ({ stream }) => stream === 3);
    server.headers(3, { ":status": "200" }, false);
    await guest.hears("headers", ({ stream }) => stream === 3);
  });

  test.each<[what: string, after: string | null, status: string]>([
    ["must not go on", "bad", "403"],
    ["is longer than it says", "and more", "502"],
  ])("that is to be whole and %s becomes a page", async (_, after, status) => {
    const { guest, server, exchanges } = await converse2({ gate: whole(careful()) });
    guest.headers(1, GET2);
    await server.hears("headers");
    server.headers(1, { ":status": "200", "content-length": "7" }, false);
    server.data(1, "good");
    server.data(1, after ?? "", true);
    expect((await guest.hears("headers")).fields[":status"]).toBe(status);
    expect(await ends(guest, 1)).not.toContain("good");
    expect(exchanges).toMatchObject([{ status: Number(status) }]);
  });

  test("lets both transforms know that it is over, once", async () => {
    let closed = 0;
    const transform = () => ({ ...careful(), close: () => closed++ });
    const { guest, server } = await converse2({
      gate: () => ({
        kind: "pass",
        body: transform(),
        answer: () => ({ body: transform() }),
      }),
    });
    const lasts = [
      () => server.data(1, "end", true),
      () => server.data(3, "bad", true),
      () => server.reset(5, Code.Internal),
      () => guest.reset(7, Code.Cancel),
    ];
    for (const [at, last] of lasts.entries()) {
      const id = 2 * at + 1;
      guest.headers(id, POST, false);
      guest.data(id, "x", true);
      await server.hears("data", ({ stream }) => stream === id);
      server.headers(id, { ":status": "200" }, false);
      await guest.hears("headers", ({ stream }) => stream === id);
      expect(closed).toBe(2 * at);
      last();
      await settle();
      expect(closed).toBe(2 * at + 2);
    }
  });
});

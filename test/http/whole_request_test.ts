/** Requests that go on once they are whole, and what follows a body of nothing. */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { GateRefusal } from "../../lib/http/gate.ts";
import { converse, head } from "./conversation.ts";
import { converse as converse2, GET, POST } from "./h2_conversation.ts";
import { settle } from "./h2_peer.ts";
import { careful, HELD, REAL, Replacing, rewriting } from "./rewriting.ts";

const HOST = "Host: api.allowed.test";
const body = `a${HELD}${HELD.slice(0, 5)}${HELD}b${HELD.slice(0, 3)}`;
const sent = body.replaceAll(HELD, REAL);
const cuts = Array.from(body, (_, at): [string, string] => [body.slice(0, at), body.slice(at)]);
const OK = head("HTTP/1.1 200 OK", "Content-Length: 2") + "hi";

const whole = () => ({ kind: "pass", body: new Replacing(HELD, REAL), whole: true }) as const;

describe("a request of HTTP/1 that is to be whole", () => {
  test.each(cuts)("states the length that it has then, cut at %j", async (before, after) => {
    const { guest, server, exchanges } = converse({ gate: whole });
    const lines = (
      length: number,
    ) => ["POST / HTTP/1.1", HOST, `Content-Length: ${length}`, "X: 1"];
    guest.say(head(...lines(body.length)) + before);
    await settle();
    expect(server.heard).toBe("");
    guest.say(after + head("GET / HTTP/1.1", HOST));
    await server.hears(head(...lines(sent.length)) + sent);
    server.say(OK);
    await guest.hears(OK);
    // The connection goes on, with what was sent ahead.
    await server.hears(sent + head("GET / HTTP/1.1", HOST));
    expect(exchanges[0]).toMatchObject({ status: 200, up: body.length });
  });

  test("and waits for the server's word goes on at once", async () => {
    const { guest, server } = converse({ gate: whole });
    guest.say(
      head("POST / HTTP/1.1", HOST, `Content-Length: ${HELD.length}`, "Expect: 100-continue"),
    );
    await server.hears(
      head("POST / HTTP/1.1", HOST, "Expect: 100-continue", "Transfer-Encoding: chunked"),
    );
    server.say(head("HTTP/1.1 100 Continue"));
    await guest.hears("100 Continue");
    guest.say(HELD);
    await server.hears(`4\r\n${REAL}\r\n0\r\n\r\n`);
  });

  test("and has no length goes on as it comes", async () => {
    const { guest, server } = converse({ gate: whole });
    guest.say(head("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked"));
    await server.hears(head("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked"));
  });

  test("and must not go on in the end never began, and the guest sees a reset", async () => {
    const { guest, server, exchanges } = converse({
      gate: () => ({ kind: "pass", body: careful(), whole: true }),
    });
    guest.say(head("POST / HTTP/1.1", HOST, "Content-Length: 7") + "good");
    await settle();
    guest.say("bad");
    expect(await guest.over()).toBe("");
    expect(guest.ended).toBe(false);
    expect(await server.over()).toBe("");
    expect(exchanges[0]?.refused?.reason).toBe("rule");
  });

  test.each(["says something", "leaves"])(
    "is none that the server can answer: one that %s meanwhile gets nothing",
    async (what) => {
      const { guest, server, exchanges } = converse({ gate: whole });
      guest.say(head("POST / HTTP/1.1", HOST, "Content-Length: 7") + "good");
      await settle();
      if (what === "leaves") server.stream.end();
      else server.say(OK);
      expect(await guest.over()).toStartWith("HTTP/1.1 502 ");
      expect(await server.over()).toBe("");
      expect(exchanges).toHaveLength(1);
      expect(exchanges[0]?.refused?.reason).toBe("upstream-closed");
    },
  );

  test("on a connection that served one is closed with it, so that clients try again", async () => {
    const { guest, server } = converse({ gate: whole });
    guest.say(head("GET / HTTP/1.1", HOST));
    await server.hears("\r\n\r\n");
    server.say(OK);
    await guest.hears(OK);
    guest.say(head("POST / HTTP/1.1", HOST, "Content-Length: 7") + "good");
    await settle();
    server.say(OK);
    expect(await guest.over()).toBe(OK);
    expect(await server.over()).toBe(head("GET / HTTP/1.1", HOST));
  });
});

describe("trailers behind a body of nothing", () => {
  const gate = () =>
    ({
      kind: "pass",
      body: Object.assign(careful(), {
        trailers: () => {
          throw new GateRefusal({ reason: "rule" });
        },
      }),
    }) as const;

  test("are the gate's in HTTP/1", async () => {
    const { guest, exchanges } = converse({ gate });
    guest.say(head("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked") + "0\r\nX: 1\r\n\r\n");
    expect(await guest.over()).toBe("");
    expect(exchanges[0]?.refused?.reason).toBe("rule");
  });

  test.each(["none", "0"])("are the gate's in HTTP/2, its length stated as %s", async (length) => {
    const { guest, server, exchanges } = await converse2({ gate });
    const stated = length === "none" ? {} : { "content-length": length };
    guest.headers(1, { ...POST, ...stated }, false);
    await server.hears("headers");
    guest.headers(1, { "x-sum": "1" });
    await server.hears("reset");
    await settle();
    expect(exchanges[0]?.refused?.reason).toBe("rule");
  });
});

test("a path that a gate wrote is in no compression table, and another's is as ever", async () => {
  const { guest, server } = await converse2({ gate: rewriting });
  const heard: Buffer[] = [];
  server.stream.on("data", (bytes: Buffer) => heard.push(bytes));
  guest.headers(1, { ...GET, ":path": `/${HELD}` });
  await server.hears("headers", ({ stream }) => stream === 1);
  guest.headers(3, { ...GET, ":path": "/plain" });
  await server.hears("headers", ({ stream }) => stream === 3);
  const text = Buffer.concat(heard).toString("latin1");
  // RFC 7541 6.2.3, with the static table's number of the name; and 6.2.2.
  expect(text).toContain(`\x14\x05/${REAL}`);
  expect(text).toContain("\x04\x06/plain");
});

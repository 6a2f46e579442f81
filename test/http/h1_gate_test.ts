/** What a gate can do to a request of HTTP/1 and to its answer, and what it cannot. */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { field } from "../../lib/http/fields.ts";
import { GateRefusal, type Verdict } from "../../lib/http/gate.ts";
import { acceptOf } from "../../lib/http/websocket.ts";
import { type Conversation, converse, head, type Peer } from "./conversation.ts";
import { settle } from "./h2_peer.ts";
import { HELD, REAL, Replacing, rewriting } from "./rewriting.ts";

const HOST = "Host: api.allowed.test";
const GET = head("GET / HTTP/1.1", HOST);
const OK = head("HTTP/1.1 200 OK", "Content-Length: 2") + "hi";
const REFUSAL = { reason: "rule", detail: "rule 4" } as const;

/** The content of chunks, and the trailers behind them. */
function dechunked(text: string): { content: string; trailers: string } {
  let content = "";
  for (let at = 0;;) {
    const end = text.indexOf("\r\n", at);
    const size = parseInt(text.slice(at, end), 16);
    if (size === 0) return { content, trailers: text.slice(end + 2) };
    content += text.slice(end + 2, end + 2 + size);
    at = end + 2 + size + 2;
  }
}

function bodyOf(heard: string): string {
  return heard.slice(heard.indexOf("\r\n\r\n") + 4);
}

/** Every way to cut a text into two. */
function cuts(text: string): [string, string][] {
  return Array.from(text, (_, at) => [text.slice(0, at), text.slice(at)]);
}

async function say(peer: Peer, parts: readonly string[]): Promise<void> {
  for (const part of parts) {
    peer.say(part);
    await settle();
  }
}

describe("a request's head", () => {
  test("is sent on as the gate rewrote it, and told as the guest wrote it", async () => {
    const { guest, server, exchanges } = converse({ gate: rewriting });
    guest.say(
      head(`GET /${HELD}/a?k=${HELD} HTTP/1.1`, "A: 1", HOST, `Authorization: Bearer ${HELD}`),
    );
    expect(await server.hears("\r\n\r\n")).toBe(
      head(`GET /${REAL}/a?k=${REAL} HTTP/1.1`, "A: 1", HOST, `Authorization: Bearer ${REAL}`),
    );
    server.say(OK);
    await guest.hears("hi");
    expect(exchanges[0]?.request?.path).toBe(`/${HELD}/a`);
  });

  test("keeps its host, its length and its connection whatever the gate says of them", async () => {
    const { guest, server } = converse({
      gate: ({ fields }) => ({
        kind: "pass",
        fields: [
          field("X", "1"),
          field("Host", "evil.test"),
          field("Content-Length", "99"),
          field("Transfer-Encoding", "chunked"),
          field("Upgrade", "h2c"),
          ...fields,
          field("host", "evil.test"),
          field("content-length", "98"),
          field("Connection", "close"),
        ],
      }),
    });
    guest.say(head("POST / HTTP/1.1", HOST, "A: 1", "Content-Length: 3") + "abc");
    expect(await server.hears("abc")).toBe(
      head("POST / HTTP/1.1", "X: 1", HOST, "Content-Length: 3", "A: 1") + "abc",
    );
    server.say(OK);
    await guest.hears("hi");
    guest.say(GET);
    await server.hears(`abc${head("GET / HTTP/1.1", "X: 1", HOST)}`);
  });

  test("has its host and length also when the gate lost them", async () => {
    const { guest, server } = converse({ gate: () => ({ kind: "pass", fields: [] }) });
    guest.say(head("POST / HTTP/1.1", "A: 1", HOST, "Content-Length: 3") + "abc");
    const sent = head("POST / HTTP/1.1", HOST, "Content-Length: 3") + "abc";
    expect(await server.hears("abc")).toBe(sent);
  });

  test.each<[what: string, verdict: Verdict]>([
    ["a line break in a value", { kind: "pass", fields: [field("X", "a\r\nHost: evil.test")] }],
    ["a line feed in a name", { kind: "pass", fields: [field("X\nY", "a")] }],
    ["a NUL in a value", { kind: "pass", fields: [field("X", "a\0")] }],
    ["a key that is not its name's", { kind: "pass", fields: [{ ...field("X", "a"), key: "y" }] }],
    ["a target with a space", { kind: "pass", target: "/ HTTP/1.1" }],
    ["a target that is a URL", { kind: "pass", target: "https://evil.test/" }],
  ])("with %s goes nowhere", async (_what, verdict) => {
    const { guest, server, exchanges } = converse({ gate: () => verdict });
    guest.say(GET);
    expect(await guest.over()).toStartWith("HTTP/1.1 400 ");
    expect(await server.over()).toBe("");
    expect(exchanges[0]?.refused?.reason).toBe("request-malformed");
  });
});

describe("a request's body", () => {
  const body = `a${HELD}${HELD.slice(0, 5)}${HELD}b${HELD.slice(0, 3)}`;
  const sent = body.replaceAll(HELD, REAL);

  test.each(cuts(body))("with a length becomes chunks, cut at %j", async (before, after) => {
    const { guest, server, exchanges } = converse({ gate: rewriting });
    guest.say(head("POST / HTTP/1.1", HOST, `Content-Length: ${body.length}`));
    await say(guest, [before, after]);
    const heard = await server.hears("\r\n0\r\n\r\n");
    expect(heard).toStartWith(head("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked"));
    expect(dechunked(bodyOf(heard))).toEqual({ content: sent, trailers: "\r\n" });
    server.say(OK);
    await guest.hears("hi");
    expect(exchanges[0]).toMatchObject({ status: 200, up: body.length, down: 2 });
  });

  test.each(cuts(body))(
    "of chunks has its trailers rewritten too, cut at %j",
    async (before, after) => {
      const { guest, server } = converse({ gate: rewriting });
      guest.say(head("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked"));
      await say(guest, [before, after].filter((part) => part !== "").map(chunk));
      guest.say(`0\r\nX-Sum: ${HELD}\r\nX: 1\r\n\r\n`);
      const heard = await server.hears("X: 1\r\n\r\n");
      const trailers = `X-Sum: ${REAL}\r\nX: 1\r\n\r\n`;
      expect(dechunked(bodyOf(heard))).toEqual({ content: sent, trailers });
    },
  );

  test("of HTTP/1.0 becomes one of 1.1, which has chunks", async () => {
    const { guest, server } = converse({ gate: rewriting });
    guest.say(head("POST / HTTP/1.0", HOST, "Content-Length: 11") + HELD);
    const heard = await server.hears("0\r\n\r\n");
    expect(heard).toStartWith("POST / HTTP/1.1\r\n");
    expect(dechunked(bodyOf(heard)).content).toBe(REAL);
    server.say(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + `${chunk(REAL)}0\r\n\r\n`);
    expect(await guest.over()).toBe(head("HTTP/1.1 200 OK", "Connection: close") + HELD);
  });

  test("keeps a length that is known beforehand, and is cut off when it has another", async () => {
    const known = (length: number, to: string) => {
      const body = Object.assign(new Replacing(HELD, to), { length });
      return converse({ gate: () => ({ kind: "pass", body }) });
    };
    const request = head("POST / HTTP/1.1", HOST, `Content-Length: ${HELD.length}`) + HELD;
    const right = known(5, "right");
    right.guest.say(request);
    const whole = head("POST / HTTP/1.1", HOST, "Content-Length: 5") + "right";
    expect(await right.server.hears("right")).toBe(whole);
    for (const wrong of [known(4, "wrong"), known(6, "wrong")]) {
      wrong.guest.say(request);
      expect(await wrong.guest.over()).toStartWith("HTTP/1.1 400 ");
      await wrong.server.over();
      expect(wrong.server.stream.errored).not.toBeNull();
    }
  });

  test("of nothing stays as it is, and its transform is not asked", async () => {
    const body = new Replacing(HELD, REAL);
    const { guest, server } = converse({ gate: () => ({ kind: "pass", body }) });
    guest.say(head("POST / HTTP/1.1", HOST, "Content-Length: 0"));
    const sent = head("POST / HTTP/1.1", HOST, "Content-Length: 0");
    expect(await server.hears("\r\n\r\n")).toBe(sent);
    server.say(OK);
    await guest.hears("hi");
    expect(body.calls).toEqual([]);
  });

  test("that must not go on ends in a reset, and never as if it were whole", async () => {
    const { guest, server, exchanges, ends } = converse({
      gate: () => ({
        kind: "pass",
        body: {
          push: (content) => {
            if (content.includes("bad")) throw new GateRefusal(REFUSAL);
            return content;
          },
          end: () => Buffer.alloc(0),
        },
      }),
    });
    guest.say(head("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked") + chunk("good"));
    await server.hears("good");
    guest.say(`${chunk("bad")}0\r\n\r\n`);
    expect(await guest.over()).toBe("");
    expect(guest.stream.errored).not.toBeNull();
    const heard = await server.over();
    expect(heard).not.toContain("bad");
    expect(heard).not.toContain("0\r\n\r\n");
    expect(exchanges).toMatchObject([{ refused: REFUSAL }]);
    expect(exchanges[0]?.status).toBeUndefined();
    expect(ends).toEqual(["reset-guest"]);
  });

  test("whose answer comes early is sent on to its end", async () => {
    const { guest, server, exchanges } = converse({ gate: rewriting });
    guest.say(head("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked") + chunk(`1${HELD}`));
    await server.hears(`1${REAL}`);
    server.say(OK);
    await guest.hears("hi");
    guest.say(`${chunk(HELD)}0\r\n\r\n`);
    await server.hears("0\r\n\r\n");
    guest.say(GET);
    await server.hears(`0\r\n\r\n${GET}`);
    expect(exchanges).toMatchObject([{ status: 200, up: 1 + 2 * HELD.length }]);
  });
});

describe("an answer", () => {
  const body = `a${REAL}${REAL.slice(0, 2)}${REAL}b${REAL.slice(0, 3)}`;
  const sent = body.replaceAll(REAL, HELD);

  async function asked(method = "GET", version = "1.1"): Promise<Conversation> {
    const conversation = converse({ gate: rewriting });
    conversation.guest.say(head(`${method} / HTTP/${version}`, HOST));
    await conversation.server.hears("\r\n\r\n");
    return conversation;
  }

  test.each(cuts(body))("with a length becomes chunks, cut at %j", async (before, after) => {
    const { guest, server } = await asked();
    server.say(head(`HTTP/1.1 200 ${REAL}`, `X: ${REAL}`, `Content-Length: ${body.length}`));
    await say(server, [before, after]);
    const heard = await guest.hears("\r\n0\r\n\r\n");
    expect(heard).toStartWith(
      head(`HTTP/1.1 200 ${HELD}`, `X: ${HELD}`, "Transfer-Encoding: chunked"),
    );
    expect(dechunked(bodyOf(heard)).content).toBe(sent);
    guest.say(GET);
    await server.hears(GET + GET);
  });

  test.each(cuts(body))(
    "that ends with its connection does so still, cut at %j",
    async (before, after) => {
      const { guest, server } = await asked();
      server.say(head("HTTP/1.1 200 OK"));
      await say(server, [before, after]);
      server.stream.end();
      expect(await guest.over()).toBe(head("HTTP/1.1 200 OK", "Connection: close") + sent);
    },
  );

  test("has its interim heads and its trailers rewritten", async () => {
    const { guest, server } = await asked();
    server.say(head("HTTP/1.1 103 Early Hints", `Link: ${REAL}`));
    await guest.hears(head("HTTP/1.1 103 Early Hints", `Link: ${HELD}`));
    server.say(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + chunk(REAL));
    server.say(`0\r\nX-Sum: ${REAL}\r\n\r\n`);
    const heard = await guest.hears(`X-Sum: ${HELD}\r\n\r\n`);
    expect(heard).toContain(`${chunk(HELD)}0\r\n`);
  });

  test.each<[method: string, status: string, said: string[], heard: string[]]>([
    ["HEAD", "200 OK", ["Content-Length: 9"], []],
    ["HEAD", "200 OK", [`X: ${REAL}`, "Transfer-Encoding: chunked"], [`X: ${HELD}`]],
    ["GET", "304 Not Modified", ["Content-Length: 9"], []],
    ["GET", "204 No Content", ["Content-Length: 9"], []],
    ["GET", "200 OK", ["Content-Length: 0"], ["Content-Length: 0"]],
  ])("without a body states no length that it would not have: %s, %s %j", async (...row) => {
    const [method, status, said, heard] = row;
    const { guest, server } = await asked(method);
    server.say(head(`HTTP/1.1 ${status}`, ...said));
    expect(await guest.hears("\r\n\r\n")).toBe(head(`HTTP/1.1 ${status}`, ...heard));
    guest.say(GET);
    await server.hears(GET.slice(4));
  });

  const refusing = (where: "head" | "body") =>
    converse({
      gate: () => ({
        kind: "pass",
        answer: () => {
          if (where === "head") throw new GateRefusal(REFUSAL);
          return {
            body: {
              push: (content) => {
                if (content.includes("bad")) throw new GateRefusal(REFUSAL);
                return content;
              },
              end: () => Buffer.alloc(0),
            },
          };
        },
      }),
    });

  test("whose head must not go on becomes a page", async () => {
    const { guest, server, exchanges } = refusing("head");
    guest.say(GET);
    await server.hears(GET);
    server.say(head("HTTP/1.1 200 OK", "X: bad", "Content-Length: 3") + "bad");
    const heard = await guest.over();
    expect(heard).toStartWith("HTTP/1.1 403 ");
    expect(heard).not.toContain("bad");
    expect(exchanges).toMatchObject([{ status: 403, refused: REFUSAL }]);
  });

  test("whose body must not go on is cut, and never ends as if it were whole", async () => {
    for (const framing of ["Transfer-Encoding: chunked", "Content-Length: 11", "X: close"]) {
      const { guest, server, exchanges } = refusing("body");
      guest.say(GET);
      await server.hears(GET);
      const wrapped = framing.startsWith("T") ? chunk : (text: string) => text;
      server.say(head("HTTP/1.1 200 OK", framing) + wrapped("good"));
      await guest.hears("good");
      server.say(wrapped("bad") + wrapped("more"));
      const heard = await guest.over();
      expect(heard).not.toContain("bad");
      expect(heard).not.toContain("more");
      // Chunks without an end, or a reset where nothing else tells.
      if (framing === "X: close") expect(guest.stream.errored).not.toBeNull();
      else expect(heard).not.toContain("0\r\n\r\n");
      expect(exchanges).toMatchObject([{ status: 200, refused: REFUSAL }]);
    }
  });
});

test("a tunnel's bytes are transformed both ways, to both of its ends", async () => {
  const { guest, server, exchanges, closed } = converse({ gate: rewriting });
  const key = "dGhlIHNhbXBsZSBub25jZQ==";
  const upgrade = ["Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"];
  guest.say(head("GET / HTTP/1.1", HOST, ...upgrade, `Sec-WebSocket-Key: ${key}`) + HELD);
  await server.hears("\r\n\r\n");
  server.say(
    head(
      "HTTP/1.1 101 Switching Protocols",
      "Connection: Upgrade",
      "Upgrade: websocket",
      `Sec-WebSocket-Accept: ${acceptOf(key)}`,
      `X: ${REAL}`,
    ),
  );
  await server.hears(`\r\n\r\n${REAL}`);
  expect(await guest.hears("\r\n\r\n")).toContain(`X: ${HELD}\r\n`);
  await say(server, ["re", "al", "re"]);
  await say(guest, [HELD.slice(0, 4), HELD.slice(4), "PLACE"]);
  server.stream.end();
  guest.stream.end();
  await closed;
  expect(guest.heard).toEndWith(`\r\n\r\n${HELD}re`);
  expect(server.heard).toEndWith(`\r\n\r\n${REAL}${REAL}PLACE`);
  expect(exchanges).toMatchObject([{ status: 101, up: 2 * HELD.length + 5, down: 6 }]);
});

function chunk(text: string): string {
  return `${text.length.toString(16)}\r\n${text}\r\n`;
}

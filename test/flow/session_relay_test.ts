import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { Duplex } from "node:stream";
import { relaySession } from "../../lib/flow/session_relay.ts";
import type { Exchange } from "../../lib/http/exchange.ts";
import { PASS } from "../../lib/http/gate.ts";
import { until } from "../support/process.ts";

/** A stream and what was written to it. */
function end() {
  const written: Buffer[] = [];
  const stream = new Duplex({
    read() {},
    write(chunk, _encoding, done) {
      written.push(chunk);
      done();
    },
  });
  stream.on("error", () => {});
  return { stream, text: () => Buffer.concat(written).toString("latin1") };
}

/** A session without a negotiated protocol, where bytes may pass; the guest says this, piece by piece. */
async function converse(
  pieces: readonly string[],
  greeting?: string,
  admit?: (bytes: Uint8Array) => boolean,
) {
  const [guest, server] = [end(), end()];
  const exchanges: Exchange[] = [];
  const over = relaySession({
    guest: guest.stream,
    upstream: { kind: "open", stream: server.stream },
    alpn: null,
    opaque: true,
    destination: { scheme: "https", host: "a.test", port: 443 },
    gate: () => PASS,
    onExchange: (exchange) => void exchanges.push(exchange),
    onEnd: () => {},
    ...(admit === undefined ? {} : { admit }),
  });
  const turn = () => new Promise<void>((resolve) => setTimeout(resolve, 5));
  for (const piece of pieces) {
    guest.stream.push(Buffer.from(piece, "latin1"));
    await turn();
    if (greeting !== undefined && server.stream.readableLength === 0) {
      server.stream.push(greeting);
      await turn();
    }
  }
  const cut = guest.stream.destroyed;
  guest.stream.push(null);
  server.stream.push(null);
  await turn();
  guest.stream.destroy();
  server.stream.destroy();
  await over;
  return { reached: server.text(), cut, refused: exchanges.map(({ refused }) => refused?.reason) };
}

test.each<[string, string | null, string]>([
  ["bytes", "imap", "a login\r\n"],
  ["HTTP between requests", "http/1.1", ""],
  [
    "HTTP in the middle of one",
    "http/1.1",
    "POST / HTTP/1.1\r\nHost: a.test\r\nContent-Length: 9\r\n\r\nx",
  ],
])(
  "a connection of %s on which nothing moves for too long is closed on both sides",
  async (_what, alpn, first) => {
    const [guest, server] = [end(), end()];
    const ends: string[] = [];
    const over = relaySession({
      guest: guest.stream,
      upstream: { kind: "open", stream: server.stream },
      alpn,
      opaque: true,
      idleMs: 50,
      destination: { scheme: "https", host: "a.test", port: 443 },
      gate: () => PASS,
      onExchange: () => {},
      onEnd: (why) => void ends.push(why),
    });
    guest.stream.push(first);
    await until("the end", () => ends.length > 0);
    expect(ends[0]).toBe("idle");
    for (const { stream } of [guest, server]) {
      expect(stream.destroyed || stream.writableEnded).toBe(true);
      stream.destroy();
    }
    await over;
    expect(server.text()).toBe(first);
  },
);

describe("bytes in an intercepted session where they may pass", () => {
  test.each<[string, string[]]>([
    ["of MQTT", ["\x10\x0c\0\x04MQTT\x04\x02\0<\0\0", "\x30\x03\0\x01a"]],
    ["of a banner", ["SSH-2.0-x\r\n", "\0\0\x01\x02GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n"]],
    ["of IRC", ["NICK x\r\nUSER x host server :x\r\n"]],
  ])("%s arrive", async (_what, pieces) => {
    const { reached, cut } = await converse(pieces);
    expect([reached, cut]).toEqual([pieces.join(""), false]);
  });

  test.each<[string, string[], string]>([
    [
      "a request behind a control character",
      ["\x01GET / HT", "TP/1.1\r\nHost: evil.test\r\n\r\n"],
      "\x01GET / HT",
    ],
    [
      "a Host behind a line without a version",
      ["GET /x\r\n", "Host: evil.test\r\n\r\n"],
      "GET /x\r\n",
    ],
    ["a request behind a line feed", ["x\n", "GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n"], "x\n"],
    ["a Host at once", ["GET /x\r\nHost: evil.test\r\n\r\n"], ""],
  ])("do not when they are %s", async (_what, pieces, reached) => {
    const seen = await converse(pieces);
    expect(seen).toMatchObject({ reached, refused: ["request-malformed"] });
  });

  test("may be anything once the server has spoken, which none of HTTP does before it is asked", async () => {
    const pieces = ["EHLO mail.test\r\n", "Host: x\r\n\r\n"];
    expect(await converse(pieces, "250 ok\r\n")).toMatchObject({
      reached: pieces.join(""),
      cut: false,
    });
  });
});

test.each(
  [
    ["that its server answers", ["a login\r\n", "b KEY\r\n", "c\r\n"], "* welcome\r\n"],
    ["that might become a request", ["\0\r", "\0KEY", "\0"], undefined],
  ] as const,
)("of a stream %s nothing passes from a piece on that may not", async (_what, pieces, greeting) => {
  const admit = (bytes: Uint8Array) => !Buffer.from(bytes).includes("KEY");
  const stopped = await converse(pieces, greeting, admit);
  expect([stopped.reached, stopped.cut]).toEqual([pieces[0], true]);
  const free = await converse(pieces.map((piece) => piece.replace("KEY", "")), greeting, admit);
  expect([free.reached, free.cut]).toEqual([pieces.join("").replace("KEY", ""), false]);
});

import { Buffer } from "node:buffer";
import { expect, test } from "bun:test";
import { frameHeader } from "../../lib/http/h2/frame.ts";
import { converse, head } from "./conversation.ts";
import { converse as converseH2, GET } from "./h2_conversation.ts";

/** What a server may say of alternatives, and whether a client may hear it. */
const SAID: readonly (readonly [value: string, passes: boolean])[] = [
  ["clear", true],
  ["Clear", false],
  ['clear, h3=":443"', false],
  ['h3=":443"; ma=86400', false],
  ['h2=":443"', false],
  ['h2="other.test:443"; persist=1', false],
  ["", false],
];

test.each(SAID)("HTTP/1: Alt-Svc of %j passes: %j", async (value, passes) => {
  const { guest, server } = converse();
  guest.say(head("GET / HTTP/1.1", "Host: api.allowed.test"));
  await server.hears("\r\n\r\n");
  const said = [`alt-SVC: ${value}`, "Alternate-Protocol: 443:quic", 'Alt-Svc: h3-29=":443"'];
  server.say(head("HTTP/1.1 103 Early Hints", "Link: </a>", ...said));
  server.say(head("HTTP/1.1 200 OK", "X-One: 1", ...said, "Transfer-Encoding: chunked"));
  server.say(`0\r\n${said[0]}\r\n${said[1]}\r\nX-Sum: 7\r\n\r\n`);
  const kept = passes ? ["alt-SVC: clear"] : [];
  expect(await guest.hears("X-Sum: 7\r\n\r\n")).toBe(
    head("HTTP/1.1 103 Early Hints", "Link: </a>", ...kept) +
      head("HTTP/1.1 200 OK", "X-One: 1", ...kept, "Transfer-Encoding: chunked") +
      "0\r\nX-Sum: 7\r\n\r\n",
  );
});

test.each(SAID)("HTTP/2: alt-svc of %j passes: %j", async (value, passes) => {
  const { guest, server } = await converseH2();
  guest.headers(1, GET);
  await server.hears("headers");
  const said = { "alt-svc": value, "alternate-protocol": "443:quic" };
  server.headers(1, { ":status": "103", ...said }, false);
  server.headers(1, { ":status": "200", "x-one": "1", ...said }, false);
  server.headers(1, { "x-sum": "7", ...said });
  await guest.hears("headers", ({ end }) => end);
  const kept = passes ? { "alt-svc": "clear" } : {};
  expect(guest.on(1)).toEqual([
    { type: "headers", stream: 1, fields: { ":status": "103", ...kept }, end: false },
    { type: "headers", stream: 1, fields: { ":status": "200", "x-one": "1", ...kept }, end: false },
    { type: "headers", stream: 1, fields: { "x-sum": "7" }, end: true },
  ]);
});

test("HTTP/2: frames that name alternatives are not passed on, on any stream", async () => {
  const { guest, server } = await converseH2();
  const seen: Buffer[] = [];
  guest.stream.on("data", (bytes: Buffer) => seen.push(bytes));
  guest.headers(1, GET);
  await server.hears("headers");
  const alternative = Buffer.from('\0\0h3=":443"; ma=86400', "latin1");
  const origin = Buffer.from("\0\x12https://other.test", "latin1");
  for (const stream of [0, 1, 2, 3]) {
    server.raw(frameHeader(0xa, 0, stream, alternative.length), alternative);
    server.raw(frameHeader(0xc, 0, stream, origin.length), origin);
  }
  server.headers(1, { ":status": "200" });
  await guest.hears("headers");
  const bytes = Buffer.concat(seen).toString("latin1");
  expect(bytes).not.toContain("h3=");
  expect(bytes).not.toContain("other.test");
});

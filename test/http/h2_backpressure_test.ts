/**
 * What an HTTP/2 relay holds for a peer that does not take it, and that it lets go again: against
 * Bun's own client and server, whose windows are their business.
 */
import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import * as http2 from "node:http2";
import process from "node:process";
import { PASS } from "../../lib/http/gate.ts";
import { Code } from "../../lib/http/h2/frame.ts";
import { FROM_GUEST, FROM_UPSTREAM } from "../../lib/http/h2/relay.ts";
import { relay } from "../../lib/http/relay.ts";
import { converse, GET, POST } from "./h2_conversation.ts";
import { type H2Peer, settle } from "./h2_peer.ts";
import { pair } from "./pair.ts";

const MB = 1 << 20;

const credited = (peer: H2Peer, stream: number) =>
  peer.heard.reduce(
    (sum, one) => one.type === "credit" && one.stream === stream ? sum + one.bytes : sum,
    0,
  );

test("a guest that gives no credit leaves its server without credit", async () => {
  const { guest, server } = await converse();
  guest.headers(1, GET);
  await server.hears("headers");
  server.headers(1, { ":status": "200" }, false);
  server.data(1, Buffer.alloc(FROM_UPSTREAM.streamWindow)); // all that the server may send
  await settle();
  await settle();
  expect(credited(server, 1)).toBe(0); // 65,535 bytes are less than a quarter of the window
  guest.credit(0, FROM_UPSTREAM.window);
  guest.credit(1, FROM_UPSTREAM.window);
  await server.hears("credit", ({ stream }) => stream === 1);
});

test("a server that gives no credit leaves its guest without credit", async () => {
  const { guest, server } = await converse();
  guest.headers(1, POST, false);
  guest.data(1, Buffer.alloc(FROM_GUEST.streamWindow));
  await server.hears("data");
  await settle();
  expect(credited(guest, 1)).toBe(0);
  server.credit(0, 4 * MB);
  server.credit(1, 4 * MB);
  await guest.hears("credit", ({ stream }) => stream === 1);
});

test("content beyond the credit resets its stream, and beyond all credit ends the connection", async () => {
  const { guest, server } = await converse();
  const { streamWindow, window, loan } = FROM_GUEST;
  guest.headers(1, POST, false);
  guest.data(1, Buffer.alloc(streamWindow + 1));
  expect(await guest.hears("reset")).toEqual({ type: "reset", stream: 1, code: Code.FlowControl });
  await server.hears("reset");
  // What was dropped with its stream is given back; the rest of the credit fits these.
  for (let stream = 3; stream < 3 + 2 * (window + loan) / streamWindow; stream += 2) {
    guest.headers(stream, POST, false);
    guest.data(stream, Buffer.alloc(streamWindow));
  }
  await settle();
  expect(guest.heard.some(({ type }) => type === "goaway")).toBe(false);
  guest.headers(101, POST, false);
  guest.data(101, Buffer.alloc(streamWindow));
  expect((await guest.hears("goaway")).code).toBe(Code.FlowControl);
});

test("streams that stall hold up no others, though they have more than the window waiting", async () => {
  const { guest, server } = await converse();
  const stalled = [1, 3, 5, 7, 9];
  for (const stream of [...stalled, 11]) guest.headers(stream, GET);
  await server.hears("headers", ({ stream }) => stream === 11);
  guest.credit(0, 64 * MB); // but none for any stream
  const { streamWindow, window } = FROM_UPSTREAM;
  expect(stalled.length * streamWindow).toBeGreaterThan(window);
  for (const stream of stalled) {
    server.headers(stream, { ":status": "200" }, false);
    server.data(stream, Buffer.alloc(streamWindow));
  }
  server.headers(11, { ":status": "200" }, false);
  server.data(11, "small", true);
  await guest.hears("data", ({ stream, end }) => stream === 11 && end);
  expect(server.heard.some(({ type }) => type === "goaway")).toBe(false);
  guest.stream.destroy();
});

/** What is reachable, and not what the allocator keeps for later, which depends on the tests before. */
function heldMemory(): number {
  Bun.gc(true);
  return process.memoryUsage().heapUsed;
}

test("pieces of one byte by the hundred thousand are held as the bytes that they are", async () => {
  const { guest, server } = await converse();
  guest.headers(1, POST, false);
  await server.hears("headers");
  const before = heldMemory();
  const bytes = Buffer.from("000001000000000001" + "78", "hex");
  guest.raw(Buffer.concat(Array.from({ length: FROM_GUEST.streamWindow }, () => bytes)));
  while (guest.stream.writableLength > 0) await settle();
  expect(heldMemory() - before).toBeLessThan(32 * MB); // an object a byte would be more than twice that
  server.credit(0, 4 * MB);
  server.credit(1, 4 * MB);
  await guest.hears("credit", ({ stream }) => stream === 1);
}, 30_000);

test("16 MiB go up and down at once, through windows of every size", async () => {
  const server = http2.createServer({ settings: { initialWindowSize: 10_000 } });
  server.on("stream", (stream: http2.ServerHttp2Stream) => {
    stream.respond({ ":status": 200 });
    stream.pipe(stream);
  });
  const [serverSide, upstream] = pair();
  const [guest, guestSide] = pair();
  server.emit("connection", serverSide);
  const closed = relay({
    guest: guestSide,
    upstream: { kind: "open", stream: upstream },
    protocol: "h2",
    destination: { scheme: "https", host: "api.allowed.test", port: 443 },
    gate: () => PASS,
    onExchange: () => {},
  });
  const client = http2.connect("https://api.allowed.test", {
    createConnection: () => guest,
    settings: { initialWindowSize: 70_000 },
  });
  client.on("error", () => {});
  const bytes = Buffer.alloc(4 * MB, "0123456789abcde");
  await Promise.all([1, 2, 3, 4].map(async () => {
    const stream = client.request({ ":path": "/", ":method": "POST" });
    stream.end(bytes);
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    await once(stream, "end");
    expect(Buffer.concat(chunks).equals(bytes)).toBe(true);
  }));
  client.destroy();
  await closed;
}, 30_000);

/** A peer that does not read must not make the relay hold what the other one sends. */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import type { Duplex } from "node:stream";
import { setImmediate } from "node:timers";
import { PASS } from "../../lib/http/gate.ts";
import { relay } from "../../lib/http/relay.ts";
import { acceptOf } from "../../lib/http/websocket.ts";
import { head } from "./conversation.ts";
import { pair } from "./pair.ts";

const HOST = "Host: api.allowed.test";
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const PIECE = 65_536;
/** What streams and the relay may hold of one direction together. */
const HELD = 16 * PIECE;

const turns = async (count: number) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
};

/** Ends that read nothing unless they are told to. */
function stalled() {
  const [guest, guestSide] = pair();
  const [server, serverSide] = pair();
  void relay({
    guest: guestSide,
    upstream: { kind: "open", stream: serverSide },
    protocol: "http/1.1",
    destination: { scheme: "https", host: "api.allowed.test", port: 443 },
    gate: () => PASS,
    onExchange: () => {},
  });
  guest.on("error", () => {});
  server.on("error", () => {});
  return { guest, server };
}

/** Writes as long as the stream takes more; the bytes it took. */
async function pour(stream: Duplex, wrap: (piece: Buffer) => Buffer = (piece) => piece) {
  let taken = 0;
  const piece = wrap(Buffer.alloc(PIECE));
  for (let idle = 0; idle < 50 && taken < 64 * HELD;) {
    if (stream.writableNeedDrain) {
      idle++;
      await turns(1);
    } else {
      idle = 0;
      stream.write(piece);
      taken += PIECE;
    }
  }
  return taken;
}

async function drain(stream: Duplex, bytes: number) {
  let read = 0;
  stream.on("data", (chunk: Buffer) => read += chunk.length);
  while (read < bytes) await turns(1);
}

const chunk = (piece: Buffer) =>
  Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from("\r\n")]);

describe("a side that does not read holds the other back", () => {
  test.each([
    ["a body of ten gigabytes", "Content-Length: 10737418240", undefined],
    ["chunks without end", "Transfer-Encoding: chunked", chunk],
  ])("when a guest sends %s", async (_what, length, wrap) => {
    const { guest, server } = stalled();
    guest.write(head("POST / HTTP/1.1", HOST, length));
    const taken = await pour(guest, wrap);
    expect(taken).toBeLessThan(HELD);
    await drain(server, taken); // and is let go again
    guest.destroy();
  });

  test("when a guest sends requests ahead without end", async () => {
    const { guest } = stalled();
    const request = head("GET / HTTP/1.1", HOST, "X: " + "x".repeat(1000));
    const requests = Buffer.from(request.repeat(Math.ceil(PIECE / request.length)));
    expect(await pour(guest, () => requests)).toBeLessThan(HELD);
    guest.destroy();
  });

  test.each([
    ["a body of ten gigabytes", "Content-Length: 10737418240", undefined],
    ["chunks without end", "Transfer-Encoding: chunked", chunk],
    ["a body until it closes", "X: y", undefined],
  ])("when a server sends %s", async (_what, length, wrap) => {
    const { guest, server } = stalled();
    guest.write(head("GET / HTTP/1.1", HOST));
    server.once("readable", () => server.read());
    await turns(5);
    server.write(head("HTTP/1.1 200 OK", length));
    const taken = await pour(server, wrap);
    expect(taken).toBeLessThan(HELD);
    await drain(guest, taken);
    guest.destroy();
  });

  test("when either side of a WebSocket sends without end", async () => {
    const { guest, server } = stalled();
    const upgrade = ["Connection: Upgrade", "Upgrade: websocket"];
    const version = "Sec-WebSocket-Version: 13";
    guest.write(head("GET / HTTP/1.1", HOST, ...upgrade, version, `Sec-WebSocket-Key: ${KEY}`));
    server.once("readable", () => server.read());
    await turns(5);
    const accept = `Sec-WebSocket-Accept: ${acceptOf(KEY)}`;
    server.write(head("HTTP/1.1 101 Switching Protocols", ...upgrade, accept));
    await turns(5);
    expect(await pour(guest)).toBeLessThan(HELD);
    expect(await pour(server)).toBeLessThan(HELD);
    guest.destroy();
  });
});

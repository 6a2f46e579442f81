/**
 * What no HTTP/2 relay may let through or be worn down by. Each case asserts both sides: what its
 * sender got, and that the other side got nothing of it.
 */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import {
  Code,
  encodeHeaders,
  encodeNumbers,
  encodePing,
  encodeSettings,
  frameHeader,
  FrameType,
  PREFACE,
} from "../../lib/http/h2/frame.ts";
import { HpackEncoder } from "../../lib/http/hpack/encoder.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { converse, GET, POST, silent } from "./h2_conversation.ts";
import { settle } from "./h2_peer.ts";

type Fields = [string, string][];

const { Protocol, FrameSize, FlowControl, Compression, EnhanceYourCalm } = Code;

function without(name: string): Fields {
  return Object.entries(GET).filter(([key]) => key !== name);
}

function replaced(name: string, value: string): Fields {
  return Object.entries({ ...GET, [name]: value });
}

function added(...fields: Fields): Fields {
  return [...Object.entries(GET), ...fields];
}

describe("a request is a stream error, and nothing of it reaches the server, with", () => {
  test.each<[what: string, fields: Fields]>([
    ["a line break in a value", added(["x", "a\r\nhost: evil.test"])],
    ["a line feed in a value", added(["x", "a\nb"])],
    ["a NUL in a value", added(["x", "a\0b"])],
    ["a colon in a name", added(["x:y", "1"])],
    ["a space in a name", added(["x y", "1"])],
    ["a line break in a name", added(["x\r\ny", "1"])],
    ["capitals in a name", added(["X-Y", "1"])],
    ["an empty name", added(["", "1"])],
    ["a space in :path", replaced(":path", "/a HTTP/1.1")],
    ["a line break in :path", replaced(":path", "/a\r\nx: y")],
    ["a fragment in :path", replaced(":path", "/a#b")],
    ["an empty :path", replaced(":path", "")],
    ["an absolute :path", replaced(":path", "https://evil.test/")],
    ["* in :path", replaced(":path", "*")],
    ["a space in :method", replaced(":method", "GET /x")],
    ["an empty :method", replaced(":method", "")],
    ["another :scheme", replaced(":scheme", "http")],
    ["a placeholder in :scheme", replaced(":scheme", "{secret}")],
    ["no :method", without(":method")],
    ["no :scheme", without(":scheme")],
    ["no :path", without(":path")],
    ["no :authority", without(":authority")],
    ["an empty :authority", replaced(":authority", "")],
    ["a user in :authority", replaced(":authority", "api.allowed.test@evil.test")],
    ["two :path", added([":path", "/b"])],
    ["two :authority", added([":authority", "api.allowed.test"])],
    ["a pseudo-field behind a field", [["x", "1"], ...Object.entries(GET)]],
    ["a pseudo-field of responses", added([":status", "200"])],
    ["a pseudo-field of nobody", added([":x", "1"])],
    ["a :protocol without CONNECT", added([":protocol", "websocket"])],
    ["a Host that differs", added(["host", "evil.test"])],
    ["two Hosts", added(["host", "api.allowed.test"], ["host", "api.allowed.test"])],
    ["Connection", added(["connection", "close"])],
    ["Transfer-Encoding", added(["transfer-encoding", "chunked"])],
    ["Upgrade", added(["upgrade", "h2c"])],
    ["Keep-Alive", added(["keep-alive", "1"])],
    ["TE for more than trailers", added(["te", "gzip"])],
    ["two lengths", added(["content-length", "1"], ["content-length", "1"])],
    ["a length that is none", added(["content-length", "+1"])],
    ["a length and no content", added(["content-length", "5"])],
  ])("%s", async (_what, fields) => {
    const { guest, server, exchanges } = await converse();
    guest.headers(1, fields);
    expect(await guest.hears("reset")).toEqual({ type: "reset", stream: 1, code: Protocol });
    guest.headers(3, GET); // the connection goes on
    await server.hears("headers");
    expect(server.heard.filter(({ type }) => type === "headers")).toHaveLength(1);
    expect(exchanges).toMatchObject([{ refused: { reason: "request-malformed" } }]);
  });
});

test.each<[what: string, say: (guest: import("./h2_peer.ts").H2Peer) => void]>([
  ["more content than stated", (guest) => guest.data(1, "123456")],
  ["less content than stated", (guest) => guest.data(1, "1234", true)],
  ["trailers before it is complete", (guest) => guest.headers(1, { x: "1" })],
  ["a second head", (guest) => guest.headers(1, POST, false)],
])("a request with %s is taken back at the server", async (_what, say) => {
  const { guest, server } = await converse();
  guest.headers(1, { ...POST, "content-length": "5" }, false);
  await server.hears("headers");
  say(guest);
  expect((await guest.hears("reset")).code).toBe(Protocol);
  expect((await server.hears("reset")).code).toBe(Code.Cancel);
  expect(server.heard.some((one) => "end" in one && one.end)).toBe(false);
});

describe("a guest is left, and its server reset, for", () => {
  const settings = encodeSettings([]);
  const empty = (type: number, flags: number, stream: number) =>
    frameHeader(type, flags, stream, 0);
  const block = new HpackEncoder().encode(
    Object.entries(GET).map(([key, value]) => ({ name: key, key, value })),
  );
  const first = [PREFACE, settings];
  const head = (stream: number) => encodeHeaders(stream, block, false);

  test.each<[what: string, code: number, bytes: Uint8Array[]]>([
    ["no HTTP/2", Protocol, [Buffer.from("GET / HTTP/1.1\r\nHost: api.allowed.test\r\n\r\n")]],
    ["no settings first", Protocol, [PREFACE, encodePing(Buffer.alloc(8), false)]],
    ["settings on a stream", Protocol, [...first, empty(FrameType.Settings, 0, 1)]],
    ["settings cut short", FrameSize, [PREFACE, frameHeader(4, 0, 0, 5), Buffer.alloc(5)]],
    ["an acknowledgement with settings", FrameSize, [
      ...first,
      frameHeader(4, 1, 0, 6),
      Buffer.alloc(6),
    ]],
    ["a window beyond bounds", FlowControl, [PREFACE, encodeSettings([[4, 0x80000000]])]],
    ["a frame size out of range", Protocol, [PREFACE, encodeSettings([[5, 1]])]],
    ["a frame that is too large", FrameSize, [...first, frameHeader(0, 0, 1, 16_385)]],
    ["content on the connection", Protocol, [...first, empty(FrameType.Data, 0, 0)]],
    ["content on an idle stream", Protocol, [...first, empty(FrameType.Data, 0, 1)]],
    ["a reset of an idle stream", Protocol, [...first, encodeNumbers(FrameType.Reset, 1, 8)]],
    ["credit for an idle stream", Protocol, [
      ...first,
      encodeNumbers(FrameType.WindowUpdate, 1, 8),
    ]],
    ["credit of nothing", Protocol, [...first, encodeNumbers(FrameType.WindowUpdate, 0, 0)]],
    ["credit beyond bounds", FlowControl, [...first, encodeNumbers(8, 0, 0x7fffffff)]],
    ["a head on an even stream", Protocol, [...first, ...head(2)]],
    ["a head on the connection", Protocol, [...first, ...head(0)]],
    ["a head that is interrupted", Protocol, [
      ...first,
      empty(1, 0, 1),
      encodePing(Buffer.alloc(8), false),
    ]],
    ["a head continued on another stream", Protocol, [...first, empty(1, 0, 1), empty(9, 4, 3)]],
    ["a continuation of nothing", Protocol, [...first, empty(FrameType.Continuation, 4, 1)]],
    ["a push", Protocol, [...first, empty(FrameType.PushPromise, 4, 1)]],
    ["a ping of the wrong size", FrameSize, [...first, frameHeader(6, 0, 0, 4), Buffer.alloc(4)]],
    ["padding beyond its frame", Protocol, [...first, frameHeader(1, 12, 1, 1), Uint8Array.of(9)]],
    ["an index of no table", Compression, [
      ...first,
      ...encodeHeaders(1, Buffer.from("ff20", "hex"), true),
    ]],
    ["index 0", Compression, [...first, ...encodeHeaders(1, Buffer.from("80", "hex"), true)]],
    ["an endless integer", Compression, [
      ...first,
      ...encodeHeaders(1, Buffer.from("ff8080808080808001", "hex"), true),
    ]],
    ["a table too large", Compression, [
      ...first,
      ...encodeHeaders(1, Buffer.from("3fffff03", "hex"), true),
    ]],
    ["a malformed Huffman code", Compression, [
      ...first,
      ...encodeHeaders(1, Buffer.from("4084ffffffff", "hex"), true),
    ]],
    ["a string cut short", Compression, [
      ...first,
      ...encodeHeaders(1, Buffer.from("400a61", "hex"), true),
    ]],
  ])("%s", async (_what, code, bytes) => {
    const { guest, server, exchanges } = silent();
    server.greet("server");
    guest.raw(...bytes);
    expect((await guest.hears("goaway")).code).toBe(code);
    await guest.hears("end");
    await server.hears("end");
    expect(server.heard.some(({ type }) => type === "headers")).toBe(false);
    expect(exchanges).toHaveLength(1);
  });
});

test("a server that is none is told about in HTTP/2, settings first", async () => {
  for (const end of [false, true]) {
    const { guest, server } = silent();
    guest.greet("client");
    if (end) server.stream.end();
    else server.raw("HTTP/1.1 400 Bad Request\r\n\r\n");
    await guest.hears("goaway");
    expect(guest.heard[0]?.type).toBe("settings");
  }
});

describe("floods end the connection", () => {
  const block = new HpackEncoder().encode(
    Object.entries(GET).map(([key, value]) => ({ name: key, key, value })),
  );

  test.each<[what: string, frame: (n: number) => Buffer[]]>([
    ["of pings", () => [encodePing(Buffer.alloc(8), false)]],
    ["of settings", () => [encodeSettings([])]],
    ["of priorities", () => [frameHeader(FrameType.Priority, 0, 1, 5), Buffer.alloc(5)]],
    ["of frames of no known type", () => [frameHeader(0x77, 0, 0, 0)]],
    [
      "of empty content",
      (n) => n === 0 ? encodeHeaders(1, block, false) : [frameHeader(FrameType.Data, 0, 1, 0)],
    ],
    ["of continuations", (n) => [frameHeader(n === 0 ? 1 : 9, 0, 1, 0)]],
    ["of a header block without end", (n) => [
      frameHeader(n === 0 ? 1 : 9, 0, 1, 16_000),
      Buffer.alloc(16_000, 0x82),
    ]],
    ["of requests that are taken back", (n) => [
      ...encodeHeaders(2 * n + 1, block, false),
      encodeNumbers(FrameType.Reset, 2 * n + 1, Code.Cancel),
    ]],
    ["of requests that the relay has to take back", (n) => [
      ...encodeHeaders(2 * n + 1, block, false),
      encodeNumbers(FrameType.WindowUpdate, 2 * n + 1, 0),
    ]],
    ["of requests beyond what may be open", (n) => encodeHeaders(2 * n + 1, block, false)],
  ])("%s", async (_what, frame) => {
    // Time stands still, or a slow machine would give the guest more of it.
    const { guest, server, exchanges } = await converse({ clock: new ManualClock() });
    for (let n = 0; n < 20_000 && !guest.heard.some(({ type }) => type === "goaway"); n++) {
      guest.raw(...frame(n));
      if (n % 200 === 0) await settle();
    }
    expect((await guest.hears("goaway")).code).toBe(EnhanceYourCalm);
    const opened = server.heard.filter(({ type }) => type === "headers").length;
    expect(opened).toBeLessThanOrEqual(1_001);
    expect(exchanges.some(({ refused }) => refused?.reason === "stream-limit")).toBe(true);
  }, 30_000);

  test("a field again and again in little space is refused without being kept", async () => {
    const { guest, server } = await converse();
    guest.headers(1, added(["x", "y".repeat(400)]));
    await server.hears("headers");
    // 64 kB of one byte each name the same entry of the table: 29 MB of fields.
    const bomb = Buffer.alloc(60_000, 0xbe);
    guest.raw(...encodeHeaders(3, bomb, true));
    const { fields } = await guest.hears("headers", ({ stream }) => stream === 3);
    expect(fields[":status"]).toBe("431");
    guest.headers(5, GET); // and the table is still the same on both sides
    expect((await server.hears("headers", ({ stream }) => stream === 3)).fields).toEqual(GET);
  });
});

describe("of a server's stream that breaks the rules a guest sees", () => {
  test.each<[what: string, fields: Record<string, string> | Fields, end: boolean]>([
    ["no status", { "x": "forged" }, true],
    ["a status that is none", { ":status": "2000" }, true],
    ["a status with a sign", { ":status": "+20" }, true],
    ["101", { ":status": "101" }, false],
    ["capitals in a name", { ":status": "200", "X": "forged" }, true],
    ["a line break in a value", { ":status": "200", x: "a\r\nset-cookie: forged" }, true],
    ["Transfer-Encoding", { ":status": "200", "transfer-encoding": "chunked" }, true],
    ["Connection", { ":status": "200", "connection": "x" }, true],
    ["two lengths", [[":status", "200"], ["content-length", "1"], ["content-length", "2"]], false],
    ["a length and no content", { ":status": "200", "content-length": "6" }, true],
    ["an interim response that is the last", { ":status": "100" }, true],
  ])("a page instead of a head with %s", async (_what, fields, end) => {
    const { guest, server, exchanges } = await converse();
    guest.headers(1, GET);
    await server.hears("headers");
    server.headers(1, fields, end);
    const head = await guest.hears("headers");
    expect(head.fields).toMatchObject({ ":status": "502", "sbx-reason": "upstream-malformed" });
    expect(JSON.stringify(guest.heard)).not.toContain("forged");
    if (!end) await server.hears("reset");
    expect(exchanges).toMatchObject([{ status: 502, refused: { reason: "upstream-malformed" } }]);
  });

  test.each<[what: string, say: (server: import("./h2_peer.ts").H2Peer) => void]>([
    ["more content than stated", (server) => server.data(1, "forged!")],
    ["less content than stated", (server) => server.data(1, "short", true)],
    ["trailers with a pseudo-field", (server) => server.headers(1, { ":status": "200" })],
    ["a second head", (server) => server.headers(1, { ":status": "200" }, false)],
  ])("a reset after %s", async (_what, say) => {
    const { guest, server, exchanges } = await converse();
    guest.headers(1, GET);
    await server.hears("headers");
    server.headers(1, { ":status": "200", "content-length": "6" }, false);
    await guest.hears("headers");
    say(server);
    expect((await guest.hears("reset")).code).toBe(Code.Internal);
    expect(guest.heard.some((one) => "end" in one && one.end)).toBe(false);
    expect(exchanges).toMatchObject([{ status: 200, refused: { reason: "upstream-malformed" } }]);
  });

  test("a page and the end after a push, or what is no HTTP/2", async () => {
    for (
      const bytes of [frameHeader(FrameType.PushPromise, 4, 1, 0), Buffer.from("HTTP/1.1 400 ")]
    ) {
      const { guest, server } = await converse();
      guest.headers(1, GET);
      await server.hears("headers");
      server.raw(bytes);
      expect((await guest.hears("headers")).fields[":status"]).toBe("502");
      await guest.hears("end");
    }
  });
});

/**
 * What RFC 9113 has a peer told that breaks its rules, sections 5 and 6, on the guest's side of a relay and
 * on the server's; and that the other side hears nothing of it.
 */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import {
  Code,
  encodeHeaders,
  encodeSettings,
  Flag,
  frameHeader,
  FrameType,
  Setting,
} from "../../lib/http/h2/frame.ts";
import { HpackEncoder } from "../../lib/http/hpack/encoder.ts";
import { converse, GET, type H2Conversation, POST } from "./h2_conversation.ts";
import { type H2Peer, settle } from "./h2_peer.ts";

type Told = ["reset" | "goaway", code: number];
type Say = (guest: H2Peer, server: H2Peer) => void | Promise<unknown>;

/** A block that changes no table. */
const block = (fields: Record<string, string>) =>
  new HpackEncoder().encode(
    Object.entries(fields).map(([key, value]) => ({ name: key, key, value, sensitive: true })),
  );
const HEAD = block(GET);

const frame = (type: number, flags: number, stream: number, ...payload: number[]) =>
  Buffer.concat([frameHeader(type, flags, stream, payload.length), Buffer.from(payload)]);

const { StreamClosed, Protocol, FrameSize, FlowControl, RefusedStream } = Code;

/** A GET that was answered in full. */
const answered: Say = async (guest, server) => {
  guest.raw(...encodeHeaders(1, HEAD, true));
  await server.hears("headers");
  server.headers(1, { ":status": "204" });
  await guest.hears("headers");
};
/** A GET whose answer has begun. */
const asked: Say = async (guest, server) => {
  guest.raw(...encodeHeaders(1, HEAD, true));
  await server.hears("headers");
  server.headers(1, { ":status": "200" }, false);
  await guest.hears("headers");
};
/** A POST that goes on. */
const posting: Say = async (guest, server) => {
  guest.raw(...encodeHeaders(1, block(POST), false));
  await server.hears("headers");
};
const givenUp: Say = async (guest, server) => {
  await posting(guest, server);
  guest.reset(1, Code.Cancel);
  await server.hears("reset");
};
const nothing: Say = () => {};
const fifth: Say = async (guest, server) => {
  guest.raw(...encodeHeaders(5, HEAD, true));
  await server.hears("headers");
};

const data: Say = (guest) => guest.data(1, "x", true);
const head: Say = (guest) => guest.raw(...encodeHeaders(1, HEAD, true));
const credit: Say = (guest) => guest.credit(1, 10);
const priority = (on: number): Say => (guest) =>
  guest.raw(frame(FrameType.Priority, 0, 1, 0, 0, 0, on, 15));

const CASES: [what: string, before: Say, say: Say, told: Told | null][] = [
  // 5.1
  ["DATA on an idle stream", nothing, data, ["goaway", Protocol]],
  ["RST_STREAM on an idle stream", nothing, (guest) => guest.reset(1, 8), ["goaway", Protocol]],
  ["WINDOW_UPDATE on an idle stream", nothing, credit, ["goaway", Protocol]],
  ["PRIORITY on an idle stream", nothing, priority(3), null],
  ["DATA on a half-closed (remote) stream", asked, data, ["reset", StreamClosed]],
  ["HEADERS on a half-closed (remote) stream", asked, head, ["reset", StreamClosed]],
  ["WINDOW_UPDATE on a half-closed (remote) stream", asked, credit, null],
  ["PRIORITY on a half-closed (remote) stream", asked, priority(3), null],
  ["DATA after its own RST_STREAM", givenUp, data, ["reset", StreamClosed]],
  ["HEADERS after its own RST_STREAM", givenUp, head, ["reset", StreamClosed]],
  ["PRIORITY after its own RST_STREAM", givenUp, priority(3), null],
  ["RST_STREAM after its own RST_STREAM", givenUp, (guest) => guest.reset(1, 8), null],
  ["DATA on a closed stream", answered, data, ["goaway", StreamClosed]],
  ["HEADERS on a closed stream", answered, head, ["goaway", StreamClosed]],
  ["WINDOW_UPDATE on a closed stream", answered, credit, null],
  ["RST_STREAM on a closed stream", answered, (guest) => guest.reset(1, 8), null],
  [
    "CONTINUATION on a closed stream",
    answered,
    (guest) => guest.raw(frame(FrameType.Continuation, Flag.EndHeaders, 1)),
    ["goaway", Protocol],
  ],
  // 5.1.1
  [
    "an even stream",
    nothing,
    (guest) => guest.raw(...encodeHeaders(2, HEAD, true)),
    ["goaway", Protocol],
  ],
  [
    "a stream below the last one",
    fifth,
    (guest) => guest.raw(...encodeHeaders(3, HEAD, true)),
    ["goaway", Protocol],
  ],
  // RFC 7540 5.3.1
  ["PRIORITY on itself", asked, priority(1), ["reset", Protocol]],
  ["PRIORITY on itself, idle", nothing, priority(1), ["goaway", Protocol]],
  [
    "HEADERS that depend on themselves",
    nothing,
    (guest) =>
      guest.raw(
        frameHeader(
          FrameType.Headers,
          Flag.EndHeaders | Flag.EndStream | Flag.Priority,
          1,
          HEAD.length + 5,
        ),
        Buffer.from([0, 0, 0, 1, 15]),
        HEAD,
      ),
    ["reset", Protocol],
  ],
  // 6.1 to 6.9
  ["DATA on stream 0", nothing, (guest) => guest.data(0, "x"), ["goaway", Protocol]],
  [
    "DATA of nothing but padding it does not have",
    posting,
    (guest) => guest.raw(frame(FrameType.Data, Flag.Padded, 1, 9, 0)),
    ["goaway", Protocol],
  ],
  [
    "DATA that should have padding and has no byte",
    posting,
    (guest) => guest.raw(frame(FrameType.Data, Flag.Padded, 1)),
    ["goaway", FrameSize],
  ],
  [
    "HEADERS on stream 0",
    nothing,
    (guest) => guest.raw(...encodeHeaders(0, HEAD, true)),
    ["goaway", Protocol],
  ],
  [
    "HEADERS whose priority is cut short",
    nothing,
    (guest) => guest.raw(frame(FrameType.Headers, Flag.Priority | Flag.EndHeaders, 1, 0, 0, 0)),
    ["goaway", FrameSize],
  ],
  [
    "PRIORITY on stream 0",
    nothing,
    (guest) => guest.raw(frame(FrameType.Priority, 0, 0, 0, 0, 0, 1, 15)),
    ["goaway", Protocol],
  ],
  [
    "PRIORITY of four bytes",
    asked,
    (guest) => guest.raw(frame(FrameType.Priority, 0, 1, 0, 0, 0, 3)),
    ["reset", FrameSize],
  ],
  [
    "PRIORITY of six bytes",
    asked,
    (guest) => guest.raw(frame(FrameType.Priority, 0, 1, 0, 0, 0, 3, 1, 1)),
    ["reset", FrameSize],
  ],
  ["RST_STREAM on stream 0", nothing, (guest) => guest.reset(0, 8), ["goaway", Protocol]],
  [
    "RST_STREAM of three bytes",
    posting,
    (guest) => guest.raw(frame(FrameType.Reset, 0, 1, 0, 0, 0)),
    ["goaway", FrameSize],
  ],
  [
    "SETTINGS with an acknowledgement of something",
    nothing,
    (guest) => guest.raw(frame(FrameType.Settings, Flag.Ack, 0, 0, 1, 0, 0, 0, 0)),
    ["goaway", FrameSize],
  ],
  [
    "SETTINGS on a stream",
    nothing,
    (guest) => guest.raw(frame(FrameType.Settings, 0, 1)),
    ["goaway", Protocol],
  ],
  [
    "SETTINGS of five bytes",
    nothing,
    (guest) => guest.raw(frame(FrameType.Settings, 0, 0, 0, 1, 0, 0, 0)),
    ["goaway", FrameSize],
  ],
  [
    "SETTINGS_ENABLE_PUSH of 2",
    nothing,
    (guest) => guest.raw(encodeSettings([[Setting.EnablePush, 2]])),
    ["goaway", Protocol],
  ],
  [
    "SETTINGS_INITIAL_WINDOW_SIZE of 2^31",
    nothing,
    (guest) => guest.raw(encodeSettings([[Setting.InitialWindowSize, 2 ** 31]])),
    ["goaway", FlowControl],
  ],
  [
    "SETTINGS_MAX_FRAME_SIZE of 16,383",
    nothing,
    (guest) => guest.raw(encodeSettings([[Setting.MaxFrameSize, 16_383]])),
    ["goaway", Protocol],
  ],
  [
    "a setting of nobody",
    nothing,
    (guest) => guest.raw(encodeSettings([[0xff, 1]])),
    null,
  ],
  ["PUSH_PROMISE", posting, (guest) => guest.raw(frame(5, 4, 1, 0, 0, 0, 2)), ["goaway", Protocol]],
  [
    "PING on a stream",
    posting,
    (guest) => guest.raw(frame(FrameType.Ping, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)),
    ["goaway", Protocol],
  ],
  [
    "PING of seven bytes",
    nothing,
    (guest) => guest.raw(frame(FrameType.Ping, 0, 0, 0, 0, 0, 0, 0, 0, 0)),
    ["goaway", FrameSize],
  ],
  [
    "GOAWAY on a stream",
    posting,
    (guest) => guest.raw(frame(FrameType.Goaway, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0)),
    ["goaway", Protocol],
  ],
  ["WINDOW_UPDATE of 0", posting, (guest) => guest.credit(1, 0), ["reset", Protocol]],
  ["WINDOW_UPDATE of 0 on stream 0", nothing, (g) => g.credit(0, 0), ["goaway", Protocol]],
  [
    "WINDOW_UPDATE of three bytes",
    nothing,
    (guest) => guest.raw(frame(FrameType.WindowUpdate, 0, 0, 0, 0, 1)),
    ["goaway", FrameSize],
  ],
  [
    "a window beyond 2^31-1",
    posting,
    (guest) => guest.credit(1, 0x7fffffff),
    ["reset", FlowControl],
  ],
  [
    "a connection's window beyond 2^31-1",
    nothing,
    (guest) => guest.credit(0, 0x7fffffff),
    ["goaway", FlowControl],
  ],
  [
    "a frame of a type that nobody knows",
    posting,
    (guest) => guest.raw(frame(0x16, 0, 1, 1)),
    null,
  ],
  [
    "a frame of 16,385 bytes",
    posting,
    (guest) => guest.raw(frameHeader(FrameType.Data, 0, 1, 16_385)),
    ["goaway", FrameSize],
  ],
];

async function heardOf({ guest, server }: H2Conversation, told: Told | null): Promise<void> {
  if (told === null) {
    await settle();
    expect(guest.heard.filter(({ type }) => type === "reset" || type === "goaway")).toEqual([]);
    guest.raw(...encodeHeaders(7, HEAD, true)); // the connection goes on
    await server.hears("headers", () => true);
    return;
  }
  const [kind, code] = told;
  const heard = await guest.hears(kind, (one) => one.code === code);
  if (kind === "goaway") await guest.hears("end");
  else expect(heard).toMatchObject({ stream: 1 });
}

describe("a guest is told of", () => {
  test.each(CASES)("%s", async (_what, before, say, told) => {
    const conversation = await converse();
    const { guest, server } = conversation;
    await before(guest, server);
    await settle();
    const heard = server.heard.filter(({ type }) => type === "headers" || type === "data").length;
    await say(guest, server);
    await heardOf(conversation, told);
    await settle();
    if (told !== null) {
      const now = server.heard.filter(({ type }) => type === "headers" || type === "data");
      expect(now).toHaveLength(heard);
    }
  });

  test("streams beyond what it was allowed, though its server has answered those before", async () => {
    const { guest, server } = await converse({}, [[Setting.MaxConcurrentStreams, 3]]);
    guest.raw(encodeSettings([[Setting.InitialWindowSize, 0]])); // so that none of its streams closes
    for (const stream of [1, 3, 5]) {
      guest.headers(stream, GET);
      await server.hears("headers", (heard) => heard.stream === stream);
      server.headers(stream, { ":status": "200" }, false);
      server.data(stream, "held back", true);
    }
    await guest.hears("headers", ({ stream }) => stream === 5);
    guest.headers(7, GET);
    expect(await guest.hears("reset")).toEqual({ type: "reset", stream: 7, code: RefusedStream });
    expect(server.heard.filter(({ type }) => type === "headers")).toHaveLength(3);
  });

  test("nothing that crossed a reset of ours", async () => {
    const { guest, server } = await converse();
    guest.headers(1, POST, false);
    await server.hears("headers");
    server.reset(1, Code.Cancel);
    await guest.hears("reset");
    guest.data(1, "x".repeat(1000));
    guest.headers(1, { trailer: "1" });
    guest.headers(3, GET);
    await server.hears("headers", ({ stream }) => stream === 3);
    expect(server.on(1).some(({ type }) => type === "data")).toBe(false);
    expect(guest.heard.some(({ type }) => type === "goaway")).toBe(false);
  });
});

describe("a server is told of", () => {
  test.each<[what: string, say: (server: H2Peer) => void, told: Told]>([
    ["HEADERS on an idle stream", (server) => server.headers(3, { ":status": "200" }), [
      "goaway",
      Protocol,
    ]],
    ["DATA on an idle stream", (server) => server.data(3, "x"), ["goaway", Protocol]],
    ["a stream of its own", (server) => server.headers(2, { ":status": "200" }), [
      "goaway",
      Protocol,
    ]],
    [
      "DATA after END_STREAM",
      (server) => {
        server.headers(1, { ":status": "204" });
        server.data(1, "x");
      },
      ["reset", StreamClosed],
    ],
    [
      "DATA after its own RST_STREAM",
      (server) => {
        server.reset(1, Code.Cancel);
        server.data(1, "x");
      },
      ["reset", StreamClosed],
    ],
  ])("%s", async (_what, say, [kind, code]) => {
    const { guest, server } = await converse();
    guest.headers(1, POST, false);
    await server.hears("headers");
    say(server);
    await server.hears(kind, (one) => one.code === code);
    await settle();
    expect(guest.heard.some(({ type }) => type === "data" && !isPage(guest))).toBe(false);
  });
});

/** What the guest was sent is sbx's own page. */
function isPage(guest: H2Peer): boolean {
  return guest.heard.some((one) => one.type === "headers" && "sbx-reason" in one.fields);
}

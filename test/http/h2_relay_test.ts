import { describe, expect, test } from "bun:test";
import { judging } from "../../lib/http/gate.ts";
import { Code, Setting } from "../../lib/http/h2/frame.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { converse, GET, POST } from "./h2_conversation.ts";
import { settle } from "./h2_peer.ts";

const MAX = 0x7fffffff;

describe("the end that is told", () => {
  test.each<
    [end: string, what: string, busy: boolean, side: "guest" | "server", how: "end" | "destroy"]
  >([
    ["eof", "the guest closes between streams", false, "guest", "end"],
    ["eof", "the guest resets between streams", false, "guest", "destroy"],
    ["eof", "the server closes between streams", false, "server", "end"],
    ["eof", "the server resets between streams", false, "server", "destroy"],
    ["reset-guest", "the guest closes in the middle of one", true, "guest", "end"],
    ["reset-guest", "the guest resets in the middle of one", true, "guest", "destroy"],
    ["reset-upstream", "the server closes in the middle of one", true, "server", "end"],
    ["reset-upstream", "the server resets in the middle of one", true, "server", "destroy"],
  ])("is %s when %s", async (end, _what, busy, side, how) => {
    const conversation = await converse();
    const { guest, server, ends, closed } = conversation;
    for (const { stream } of [guest, server]) stream.on("end", () => stream.end());
    guest.headers(1, GET);
    await server.hears("headers");
    server.headers(1, { ":status": "200" }, !busy);
    await guest.hears("headers");
    conversation[side].stream[how]();
    await closed;
    expect(ends).toEqual([end as (typeof ends)[number]]);
  });
});

describe("a stream", () => {
  test("goes through, and is told about without its query", async () => {
    const { guest, server, exchanges } = await converse();
    guest.headers(1, { ...GET, accept: "*/*", cookie: "a=b" });
    const head = await server.hears("headers");
    expect(head).toEqual({
      type: "headers",
      stream: 1,
      fields: { ...GET, accept: "*/*", cookie: "a=b" },
      end: true,
    });
    server.headers(1, { ":status": "200", "x-y": "z" }, false);
    server.data(1, "hello", true);
    await guest.hears("data", ({ end }) => end);
    expect(guest.on(1)).toEqual([
      { type: "headers", stream: 1, fields: { ":status": "200", "x-y": "z" }, end: false },
      { type: "data", stream: 1, text: "hello", end: true },
    ]);
    expect(exchanges).toEqual([{
      request: { method: "GET", host: "api.allowed.test", path: "/a" },
      status: 200,
      up: 0,
      down: 5,
      ms: expect.any(Number),
    }]);
  });

  test("goes through with its authority in the guest's letters, and lengths as they are understood", async () => {
    const { guest, server } = await converse();
    guest.headers(1, { ...POST, ":authority": "API.Allowed.test", "content-length": "05" }, false);
    guest.data(1, "hello", true);
    expect((await server.hears("headers")).fields).toEqual({
      ...POST,
      ":authority": "API.Allowed.test",
      "content-length": "5",
    });
    server.headers(1, { ":status": "200", "content-length": "003" }, false);
    server.data(1, "bye", true);
    expect((await guest.hears("headers")).fields).toMatchObject({ "content-length": "3" });
  });

  test("carries interim responses, content both ways at once, and trailers both ways", async () => {
    const { guest, server, exchanges } = await converse();
    guest.headers(1, { ...POST, te: "trailers" }, false);
    await server.hears("headers");
    server.headers(1, { ":status": "103", link: "</a>" }, false);
    await guest.hears("headers", ({ fields }) => fields[":status"] === "103");
    server.headers(1, { ":status": "200" }, false);
    for (const word of ["one", "two", "three"]) {
      guest.data(1, word);
      await server.hears("data", ({ text }) => text === word);
      server.data(1, word.toUpperCase());
      await guest.hears("data", ({ text }) => text === word.toUpperCase());
    }
    guest.headers(1, { "x-sum": "11", "content-length": "99" });
    expect(await server.hears("headers", ({ end }) => end)).toMatchObject({
      fields: { "x-sum": "11" },
    });
    server.headers(1, { "grpc-status": "0", "grpc-message": "fine" });
    expect(await guest.hears("headers", ({ end }) => end)).toMatchObject({
      fields: { "grpc-status": "0", "grpc-message": "fine" },
    });
    expect(exchanges).toMatchObject([{ status: 200, up: 11, down: 11 }]);
  });

  test("does not wait for another that stalls", async () => {
    const { guest, server } = await converse();
    guest.headers(1, GET);
    guest.headers(3, GET);
    await server.hears("headers", ({ stream }) => stream === 3);
    server.headers(1, { ":status": "200" }, false);
    server.data(1, "x".repeat(65_536)); // one more than the guest takes by default
    server.headers(3, { ":status": "200" }, false);
    guest.credit(0, 1000);
    server.data(3, "small", true);
    expect(await guest.hears("data", ({ stream }) => stream === 3)).toMatchObject({
      text: "small",
      end: true,
    });
    guest.credit(1, 1);
    await settle();
    const sent = guest.heard.reduce(
      (sum, one) => one.type === "data" && one.stream === 1 ? sum + one.text.length : sum,
      0,
    );
    expect(sent).toBe(65_536);
  });

  test.each([[Code.Cancel], [Code.Internal], [13]])(
    "is reset with the code of whoever resets it: %i",
    async (code) => {
      const { guest, server, exchanges } = await converse();
      guest.headers(1, POST, false);
      guest.headers(3, POST, false);
      await server.hears("headers", ({ stream }) => stream === 3);
      guest.reset(1, code);
      expect(await server.hears("reset")).toEqual({ type: "reset", stream: 1, code });
      server.headers(3, { ":status": "200" }, false);
      server.reset(3, code);
      expect(await guest.hears("reset")).toEqual({ type: "reset", stream: 3, code });
      expect(exchanges.map(({ status }) => status)).toEqual([undefined, 200]);
    },
  );

  test("may be answered before its request is complete, and asked to stop", async () => {
    const { guest, server, exchanges } = await converse();
    guest.headers(1, POST, false);
    await server.hears("headers");
    server.headers(1, { ":status": "413" }, false);
    server.data(1, "too much", true);
    server.reset(1, Code.None);
    expect(await guest.hears("reset")).toEqual({ type: "reset", stream: 1, code: Code.None });
    expect(guest.on(1)[1]).toMatchObject({ text: "too much", end: true });
    guest.data(1, "late"); // crossed the reset
    guest.headers(3, GET);
    await server.hears("headers", ({ stream }) => stream === 3);
    expect(server.heard.some((one) => one.type === "data")).toBe(false);
    expect(exchanges).toMatchObject([{ status: 413 }]);
  });

  test("opens a WebSocket where the server takes them", async () => {
    const { guest, server } = await converse({}, [[Setting.EnableConnectProtocol, 1]]);
    const { values } = await guest.hears("settings");
    expect(values[Setting.EnableConnectProtocol]).toBe(1);
    guest.headers(1, { ...GET, ":method": "CONNECT", ":protocol": "websocket" }, false);
    expect((await server.hears("headers")).fields).toMatchObject({ ":protocol": "websocket" });
    server.headers(1, { ":status": "200" }, false);
    guest.data(1, "\x81\x01a");
    await server.hears("data", ({ text }) => text === "\x81\x01a");
    server.data(1, "\x81\x01b", true);
    await guest.hears("data", ({ text, end }) => text === "\x81\x01b" && end);
  });
});

describe("a refusal", () => {
  test("of policy is a page on its stream, and others go on", async () => {
    const { guest, server, exchanges } = await converse({
      gate: judging(({ path }) => path === "/no" ? { reason: "rule", detail: "rule 4" } : null),
    });
    guest.headers(1, { ...POST, ":path": "/no" }, false);
    const { fields } = await guest.hears("headers", ({ stream }) => stream === 1);
    expect(fields).toMatchObject({ ":status": "403", "sbx-reason": "rule" });
    expect((await guest.hears("data")).text).toContain("rule 4");
    await guest.hears("reset", ({ stream, code }) => stream === 1 && code === Code.None);
    guest.headers(3, GET);
    expect((await server.hears("headers")).fields[":path"]).toBe("/a?b=c");
    expect(exchanges).toMatchObject([{ status: 403, refused: { reason: "rule" } }]);
  });

  test.each<[string, Record<string, string>, string, string]>([
    ["another host", { ":authority": "bad.allowed.test" }, "421", "host-mismatch"],
    ["another port", { ":authority": "api.allowed.test:8443" }, "421", "host-mismatch"],
    ["TRACE", { ":method": "TRACE" }, "405", "method"],
    ["CONNECT", { ":method": "CONNECT" }, "405", "method"],
    [
      "a WebSocket where the server takes none",
      { ":method": "CONNECT", ":protocol": "websocket" },
      "405",
      "method",
    ],
    ["a field of 70 kB", { x: "y".repeat(70_000) }, "431", "request-limit"],
  ])("answers %s, which reaches no server", async (_what, fields, status, reason) => {
    const { guest, server, exchanges } = await converse();
    if (fields.x !== undefined) {
      // Many fields in little space: a table's entry, again and again.
      guest.headers(1, { ...GET, x: "y".repeat(400) });
      guest.headers(3, [...Object.entries(GET), ...repeat("x", "y".repeat(400), 190)]);
    } else guest.headers(3, { ...GET, ...fields });
    const answer = await guest.hears("headers", ({ stream }) => stream === 3);
    expect(answer.fields).toMatchObject({ ":status": status, "sbx-reason": reason });
    await settle();
    expect(server.heard.some((one) => one.type === "headers" && one.stream === 3)).toBe(false);
    expect(exchanges.at(-1)).toMatchObject({ status: Number(status), refused: { reason } });
  });

  test("without a server says what failed", async () => {
    const refusal = { reason: "upstream-untrusted", detail: "expired" } as const;
    const { guest, exchanges } = await converse({ upstream: { kind: "failed", refusal } });
    guest.headers(1, GET);
    expect((await guest.hears("headers")).fields).toMatchObject({ ":status": "502" });
    expect((await guest.hears("data")).text).toContain("expired");
    expect(exchanges).toMatchObject([{ status: 502, refused: refusal }]);
  });
});

function repeat(name: string, value: string, times: number): [string, string][] {
  return Array.from({ length: times }, () => [name, value]);
}

describe("the connection", () => {
  test("offers what its server offers, and never more streams than the relay keeps", async () => {
    const few = await converse({}, [[Setting.MaxConcurrentStreams, 7]]);
    const { values } = await few.guest.hears("settings");
    expect(values[Setting.MaxConcurrentStreams]).toBe(7);
    expect(values[Setting.EnableConnectProtocol]).toBeUndefined();
    expect((await few.server.hears("settings")).values[Setting.EnablePush]).toBe(0);
    const many = await converse({}, [[Setting.MaxConcurrentStreams, 5000]]);
    expect((await many.guest.hears("settings")).values[Setting.MaxConcurrentStreams]).toBe(128);
  });

  test("refuses streams beyond that, so that they can be sent again", async () => {
    const { guest, server } = await converse({}, [[Setting.MaxConcurrentStreams, 2]]);
    for (const stream of [1, 3, 5]) guest.headers(stream, GET);
    expect(await guest.hears("reset")).toEqual({
      type: "reset",
      stream: 5,
      code: Code.RefusedStream,
    });
    server.headers(1, { ":status": "204" });
    await guest.hears("headers");
    guest.headers(7, GET);
    await server.hears("headers", ({ stream }) => stream === 5); // the server's third
  });

  test("passes pings from end to end", async () => {
    const { guest, server } = await converse();
    guest.ping("12345678");
    expect(await server.hears("ping")).toMatchObject({ payload: "12345678", ack: false });
    await settle();
    expect(guest.heard.some((one) => one.type === "ping")).toBe(false);
    server.ping("12345678", true);
    expect(await guest.hears("ping")).toMatchObject({ payload: "12345678", ack: true });
    server.ping("abcdefgh");
    await guest.hears("ping", ({ payload, ack }) => payload === "abcdefgh" && !ack);
    guest.ping("abcdefgh", true);
    await server.hears("ping", ({ payload, ack }) => payload === "abcdefgh" && ack);
  });

  test("ends as its server ends it: what it took goes on, the rest is for elsewhere", async () => {
    const { guest, server, closed } = await converse();
    guest.headers(1, GET);
    guest.headers(3, GET);
    await server.hears("headers", ({ stream }) => stream === 3);
    server.goaway(MAX, Code.None);
    expect(await guest.hears("goaway")).toMatchObject({ last: MAX, code: Code.None });
    server.goaway(1, Code.None);
    await guest.hears("reset", ({ stream, code }) => stream === 3 && code === Code.RefusedStream);
    await guest.hears("goaway", ({ last }) => last === 3);
    guest.headers(5, GET);
    await guest.hears("reset", ({ stream, code }) => stream === 5 && code === Code.RefusedStream);
    server.headers(1, { ":status": "204" });
    await guest.hears("headers", ({ stream }) => stream === 1);
    await guest.hears("end");
    guest.stream.end();
    server.stream.end();
    await closed;
  });

  test("that breaks takes its streams with it", async () => {
    const { guest, server, exchanges } = await converse();
    guest.headers(1, GET);
    await server.hears("headers");
    server.stream.destroy();
    await guest.hears("end");
    expect(exchanges).toHaveLength(1);
  });

  test("is closed when idle for too long, with a farewell", async () => {
    const clock = new ManualClock();
    const { guest } = await converse({ clock, limits: { idleMs: 5_000 } });
    await clock.pass(5_001);
    expect(await guest.hears("goaway")).toMatchObject({ code: Code.None });
    await guest.hears("end");
  });
});

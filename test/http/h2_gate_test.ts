/** What a gate can do to a stream of HTTP/2 and to its answer, and what it cannot. */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { field } from "../../lib/http/fields.ts";
import { type BodyTransform, GateRefusal, type Verdict } from "../../lib/http/gate.ts";
import { Code, Flag, frameHeader, FrameType } from "../../lib/http/h2/frame.ts";
import { converse, GET, POST } from "./h2_conversation.ts";
import { contentOn, ends, settle } from "./h2_peer.ts";
import { careful, HELD, REAL, REFUSAL, Replacing, rewriting } from "./rewriting.ts";

function cuts(text: string): [string, string][] {
  return Array.from(text, (_, at) => [text.slice(0, at), text.slice(at)]);
}

describe("a request's head", () => {
  test("is sent on as the gate rewrote it, and told as the guest wrote it", async () => {
    const { guest, server, exchanges } = await converse({ gate: rewriting });
    const bearer = `Bearer ${HELD}`;
    guest.headers(1, { ...GET, ":path": `/${HELD}?k=${HELD}`, "x-key": bearer, te: "trailers" });
    const { fields } = await server.hears("headers");
    expect(fields).toEqual({
      ...GET,
      ":path": `/${REAL}?k=${REAL}`,
      "x-key": `Bearer ${REAL}`,
      te: "trailers",
    });
    server.headers(1, { ":status": "204" });
    await guest.hears("headers");
    await settle();
    expect(exchanges[0]?.request?.path).toBe(`/${HELD}`);
  });

  test("has what was replaced in no compression table", async () => {
    const { guest, server } = await converse({ gate: rewriting });
    const heard: Buffer[] = [];
    server.stream.on("data", (bytes: Buffer) => heard.push(bytes));
    for (const stream of [1, 3]) {
      guest.headers(stream, { ...GET, "x-key": HELD, "x-plain": "value" });
      await server.hears("headers", (one) => one.stream === stream);
    }
    const text = Buffer.concat(heard).toString("latin1");
    // Never indexed, with its name written out (RFC 7541 6.2.3); what is indexed comes once.
    expect(text.split(`\x10\x05x-key\x04${REAL}`).length - 1).toBe(2);
    expect(text.split("x-plain").length - 1).toBe(1);
  });

  test("keeps its host, its length and its connection whatever the gate says of them", async () => {
    const { guest, server } = await converse({
      gate: ({ fields }) => ({
        kind: "pass",
        fields: [
          field("Host", "evil.test"),
          field("Content-Length", "99"),
          field("Transfer-Encoding", "chunked"),
          field("Connection", "close"),
          field("TE", "gzip"),
          ...fields,
          field("content-length", "98"),
        ],
      }),
    });
    guest.headers(1, { ...POST, "x-a": "1" }, false);
    guest.data(1, "abc", true);
    const { fields } = await server.hears("headers");
    expect(fields).toEqual({ ...POST, "x-a": "1" });
    guest.headers(3, { ...POST, "content-length": "3" }, false);
    guest.data(3, "abc", true);
    const second = await server.hears("headers", ({ stream }) => stream === 3);
    expect(second.fields).toEqual({ ...POST, "content-length": "3" });
  });

  test.each<[what: string, verdict: Verdict]>([
    ["a line break in a value", { kind: "pass", fields: [field("x", "a\r\nhost: evil.test")] }],
    ["a pseudo-field", { kind: "pass", fields: [field(":authority", "evil.test")] }],
    ["a key that is not its name's", { kind: "pass", fields: [{ ...field("x", "a"), key: "Y" }] }],
    ["a target that is a URL", { kind: "pass", target: "https://evil.test/" }],
  ])("with %s goes nowhere", async (_what, verdict) => {
    const { guest, server, exchanges } = await converse({ gate: () => verdict });
    guest.headers(1, GET);
    const { fields } = await guest.hears("headers");
    expect(fields[":status"]).toBe("400");
    expect(server.heard.filter(({ type }) => type === "headers")).toEqual([]);
    expect(exchanges[0]?.refused?.reason).toBe("request-malformed");
  });
});

describe("a request's body", () => {
  const body = `a${HELD}${HELD.slice(0, 5)}${HELD}b${HELD.slice(0, 3)}`;
  const sent = body.replaceAll(HELD, REAL);

  test.each(cuts(body))("states no length any more, cut at %j", async (before, after) => {
    const { guest, server, exchanges } = await converse({ gate: rewriting });
    guest.headers(1, { ...POST, "content-length": String(body.length) }, false);
    guest.data(1, before);
    await settle();
    guest.data(1, after, true);
    expect(await ends(server, 1)).toBe(sent);
    expect((await server.hears("headers")).fields).toEqual(POST);
    server.headers(1, { ":status": "204" });
    await guest.hears("headers");
    await settle();
    expect(exchanges).toMatchObject([{ status: 204, up: body.length }]);
  });

  test("has what was held back before its trailers, which are rewritten", async () => {
    const { guest, server } = await converse({ gate: rewriting });
    guest.headers(1, POST, false);
    guest.data(1, `${HELD}PLACE`);
    guest.headers(1, { "x-sum": HELD });
    expect(await ends(server, 1)).toBe(`${REAL}PLACE`);
    expect(server.on(1).at(-1)).toMatchObject({ fields: { "x-sum": REAL }, end: true });
  });

  test("keeps a length that is known beforehand, and is reset when it has another", async () => {
    const known = async (length: number) => {
      const conversation = await converse({
        gate: () => ({
          kind: "pass",
          body: Object.assign(new Replacing(HELD, "right"), { length }),
        }),
      });
      const length11 = { ...POST, "content-length": "11" };
      conversation.guest.headers(1, length11, false);
      conversation.guest.data(1, HELD, true);
      return conversation;
    };
    const right = await known(5);
    expect(await ends(right.server, 1)).toBe("right");
    expect((await right.server.hears("headers")).fields["content-length"]).toBe("5");
    for (const length of [4, 6]) {
      const wrong = await known(length);
      expect((await wrong.server.hears("reset")).code).toBe(Code.Cancel);
      expect((await wrong.guest.hears("reset")).code).toBe(Code.Protocol);
    }
  });

  test("that must not go on ends in resets, and other streams go on", async () => {
    const gate = () => ({ kind: "pass", body: careful() }) as const;
    const { guest, server, exchanges } = await converse({ gate });
    guest.headers(1, POST, false);
    guest.headers(3, POST, false);
    guest.data(1, "good");
    await server.hears("data");
    guest.data(1, "bad", true);
    expect(await guest.hears("reset")).toMatchObject({ stream: 1, code: Code.Cancel });
    expect(await server.hears("reset")).toMatchObject({ stream: 1, code: Code.Cancel });
    expect(contentOn(server, 1)).toBe("good");
    expect(exchanges).toMatchObject([{ refused: REFUSAL }]);
    expect(exchanges[0]?.status).toBeUndefined();
    guest.data(3, "more", true);
    expect(await ends(server, 3)).toBe("more");
  });

  test("whose answer comes early is sent on to its end", async () => {
    const { guest, server } = await converse({ gate: rewriting });
    guest.headers(1, POST, false);
    guest.data(1, `1${HELD}`);
    await server.hears("data");
    server.headers(1, { ":status": "204" });
    await guest.hears("headers");
    guest.data(1, HELD, true);
    expect(await ends(server, 1)).toBe(`1${REAL}${REAL}`);
  });

  test("whose server wants no more of it leaves its connection the credit", async () => {
    const { guest, server } = await converse({ gate: rewriting });
    // More than the connection's window in all.
    for (let stream = 1; stream < 17; stream += 2) {
      guest.headers(stream, POST, false);
      await server.hears("headers", (one) => one.stream === stream);
      server.headers(stream, { ":status": "413" });
      server.reset(stream, Code.None);
      guest.data(stream, HELD.repeat(23_000));
      await guest.hears("reset", (one) => one.stream === stream);
      await settle();
    }
    const credit = guest.heard.reduce(
      (sum, one) => one.type === "credit" && one.stream === 0 ? sum + one.bytes : sum,
      0,
    );
    expect(credit).toBeGreaterThan(8 * 23_000 * HELD.length - 65_535 - (1 << 18));
  });
});

describe("an answer", () => {
  const body = `a${REAL}${REAL.slice(0, 2)}${REAL}b${REAL.slice(0, 3)}`;
  const sent = body.replaceAll(REAL, HELD);

  test.each(cuts(body))("states no length any more, cut at %j", async (before, after) => {
    const { guest, server, exchanges } = await converse({ gate: rewriting });
    guest.headers(1, GET);
    await server.hears("headers");
    server.headers(1, { ":status": "103", link: REAL }, false);
    const length = String(body.length);
    server.headers(1, { ":status": "200", "x-a": REAL, "content-length": length }, false);
    server.data(1, before);
    await settle();
    server.data(1, after, true);
    expect(await ends(guest, 1)).toBe(sent);
    expect(guest.on(1).slice(0, 2)).toMatchObject([
      { fields: { ":status": "103", link: HELD } },
      { fields: { ":status": "200", "x-a": HELD } },
    ]);
    const final = await guest.hears("headers", ({ fields }) => fields[":status"] === "200");
    expect(final.fields["content-length"]).toBeUndefined();
    expect(exchanges).toMatchObject([{ down: body.length }]);
  });

  test("has what was held back before its trailers, which are rewritten", async () => {
    const { guest, server } = await converse({ gate: rewriting });
    guest.headers(1, GET);
    await server.hears("headers");
    server.headers(1, { ":status": "200" }, false);
    server.data(1, `${REAL}rea`);
    server.headers(1, { "grpc-status": "0", "x-sum": REAL });
    expect(await ends(guest, 1)).toBe(`${HELD}rea`);
    const trailers = { "grpc-status": "0", "x-sum": HELD };
    expect(guest.on(1).at(-1)).toMatchObject({ fields: trailers, end: true });
  });

  test.each([["HEAD", "200"], ["GET", "304"]])("to %s, %s, has no false length", async (...row) => {
    const [method, status] = row;
    const { guest, server } = await converse({ gate: rewriting });
    guest.headers(1, { ...GET, ":method": method ?? "" });
    await server.hears("headers");
    server.headers(1, { ":status": status ?? "", "content-length": "9" });
    const { fields, end } = await guest.hears("headers");
    expect([fields, end]).toEqual([{ ":status": status ?? "" }, true]);
  });

  test("whose head must not go on becomes a page", async () => {
    const { guest, server, exchanges } = await converse({
      gate: () => ({
        kind: "pass",
        answer: () => {
          throw new GateRefusal(REFUSAL);
        },
      }),
    });
    guest.headers(1, GET);
    await server.hears("headers");
    server.headers(1, { ":status": "200", "x-a": "bad" }, false);
    expect((await guest.hears("headers")).fields[":status"]).toBe("403");
    await server.hears("reset");
    expect(await ends(guest, 1)).not.toContain("bad");
    expect(exchanges).toMatchObject([{ status: 403, refused: REFUSAL }]);
  });

  test("whose body must not go on is cut behind what was good", async () => {
    const gate = () => ({ kind: "pass", answer: () => ({ body: careful() }) }) as const;
    const { guest, server, exchanges } = await converse({ gate });
    guest.headers(1, GET);
    await server.hears("headers");
    server.headers(1, { ":status": "200" }, false);
    server.data(1, "good");
    server.data(1, "bad");
    server.data(1, "more", true);
    expect((await guest.hears("reset")).code).toBe(Code.Internal);
    expect(contentOn(guest, 1)).toBe("good");
    await server.hears("reset");
    expect(exchanges).toMatchObject([{ status: 200, refused: REFUSAL }]);
  });
});

test("a tunnel's bytes are transformed both ways", async () => {
  const { guest, server } = await converse({ gate: rewriting }, [[8, 1]]);
  guest.headers(1, { ...GET, ":method": "CONNECT", ":protocol": "websocket" }, false);
  expect((await server.hears("headers")).fields[":protocol"]).toBe("websocket");
  server.headers(1, { ":status": "200" }, false);
  guest.data(1, HELD.slice(0, 5));
  guest.data(1, HELD.slice(5));
  await server.hears("data", ({ text }) => text === REAL);
  server.data(1, REAL);
  await guest.hears("data", ({ text }) => text === HELD);
  guest.data(1, "PLACE", true);
  expect(await ends(server, 1)).toBe(`${REAL}PLACE`);
  server.data(1, "re", true);
  expect(await ends(guest, 1)).toBe(`${HELD}re`);
});

describe("bodies much longer than what may wait", () => {
  /** A transform's output for so much content, and how it is made. */
  const kinds: Record<string, [expected: (sent: string) => string, () => BodyTransform]> = {
    "that shrink": [(text) => text.replaceAll(HELD, REAL), () => new Replacing(HELD, REAL)],
    "that grow": [(text) => text.replaceAll("P", "GROWN"), () => new Replacing("P", "GROWN")],
    "that vanish": [() => "", () => ({ push: () => Buffer.alloc(0), end: () => Buffer.alloc(0) })],
    "that are held back": [(text) => text, () => {
      const held: Buffer[] = [];
      return {
        push: (content) => {
          held.push(Buffer.from(content));
          return Buffer.alloc(0);
        },
        end: () => Buffer.concat(held),
      };
    }],
  };

  test.each(Object.keys(kinds))("%s arrive as fast as their server takes them", async (kind) => {
    const [expected, transform] = kinds[kind] ?? [];
    const gate = () => ({ kind: "pass", body: transform?.() ?? careful() }) as const;
    const { guest, server } = await converse({ gate });
    guest.headers(1, POST, false);
    await server.hears("headers");
    const piece = HELD.repeat(1_489); // no more than a frame
    let granted = 65_535;
    let said = "";
    for (let turn = 0; !server.on(1).some((one) => one.type === "data" && one.end); turn++) {
      const got = (stream: number) =>
        guest.heard.reduce(
          (sum, one) => one.type === "credit" && one.stream === stream ? sum + one.bytes : sum,
          0,
        );
      const size = Math.min((512 << 10) + got(1), 65_535 + got(0)) - said.length;
      if (said.length < 3 << 20 && size >= piece.length) {
        said += piece;
        guest.data(1, piece, said.length >= 3 << 20);
        continue;
      }
      await settle();
      const heard = contentOn(server, 1).length;
      if (heard === granted) {
        server.credit(0, 60_000);
        server.credit(1, 60_000);
        granted += 60_000;
      }
      if (turn > 5_000) throw new Error(`stalled at ${said.length}, ${heard}`);
    }
    expect(contentOn(server, 1) === expected?.(said)).toBe(true);
  }, 30_000);
});

test("many frames of a byte cost no more than their bytes", async () => {
  const { guest, server } = await converse({ gate: rewriting });
  guest.headers(1, POST, false);
  const frame = Buffer.concat([frameHeader(FrameType.Data, 0, 1, 1), Buffer.from("x")]);
  for (let block = 0; block < 60; block++) {
    guest.raw(Buffer.concat(Array.from({ length: 1_000 }, () => frame)));
    await settle();
  }
  guest.raw(frameHeader(FrameType.Data, Flag.EndStream, 1, 0));
  expect((await ends(server, 1)).length).toBe(60_000);
});

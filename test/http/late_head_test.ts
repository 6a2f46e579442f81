/** A head that waits for its body, in both versions of HTTP. */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { field } from "../../lib/http/fields.ts";
import { GateRefusal, type RequestGate } from "../../lib/http/gate.ts";
import { converse, head } from "./conversation.ts";
import { converse as converse2, POST } from "./h2_conversation.ts";
import { ends, settle } from "./h2_peer.ts";
import { REFUSAL } from "./rewriting.ts";

const HOST = "Host: api.allowed.test";
const SUMMED = "x-sum";

/** Doubles what is sent, and states it in the head. */
const summing: RequestGate = ({ fields, target }) => ({
  kind: "pass",
  fields: [],
  target: "/early",
  body: { push: (content) => content, end: () => Buffer.alloc(0) },
  late: (content) => {
    if (content.includes("refused")) throw new GateRefusal(REFUSAL);
    const sum = content.includes("broken") ? "a\r\nb" : content.toString();
    return { target: `${target}?late`, fields: [...fields, field(SUMMED, sum)] };
  },
});

describe("HTTP/1", () => {
  test.each([
    ["a length", "Content-Length: 5", ["hel", "lo"]],
    ["chunks", "Transfer-Encoding: chunked", ["3\r\nhel\r\n", "2\r\nlo\r\n", "0\r\nX: y\r\n\r\n"]],
  ])("with %s, the server gets nothing before the whole", async (_, framing, parts) => {
    const { guest, server, exchanges } = converse({ gate: summing });
    guest.say(head("POST /a HTTP/1.1", HOST, framing));
    for (const part of parts.slice(0, -1)) guest.say(part);
    await settle();
    expect(server.heard).toBe("");
    guest.say(parts.at(-1) ?? "");
    const heard = await server.hears("hello");
    expect(heard).toStartWith("POST /a?late HTTP/1.1\r\n");
    expect(heard).toContain("x-sum: hello\r\n");
    expect(heard).toContain("Content-Length: 5\r\n");
    expect(heard.toLowerCase()).not.toContain("transfer-encoding");
    await settle();
    expect(server.heard).toEndWith("\r\n\r\nhello");
    server.say(head("HTTP/1.1 200 OK", "Content-Length: 2") + "hi");
    await guest.hears("hi");
    expect(exchanges).toMatchObject([{ status: 200, up: 5 }]);
    guest.say(head("POST /b HTTP/1.1", HOST, "Content-Length: 1") + "1");
    expect(await server.hears("x-sum: 1")).toContain("POST /b?late");
  });

  test.each([["refused", ""], ["broken", "HTTP/1.1 400 "]])(
    "a body that is %s at its end reaches no server",
    async (body, told) => {
      const { guest, server, exchanges } = converse({ gate: summing });
      guest.say(head("POST /a HTTP/1.1", HOST, `Content-Length: ${body.length}`) + body);
      expect(await guest.over()).toStartWith(told);
      expect(await server.over()).toBe("");
      expect(exchanges[0]?.refused).toBeDefined();
    },
  );
});

describe("HTTP/2", () => {
  test("the server gets nothing before the whole, and other streams go on", async () => {
    const { guest, server } = await converse2({ gate: summing });
    guest.headers(1, POST, false);
    guest.data(1, "hel");
    await settle();
    guest.headers(3, POST, false);
    guest.data(3, "other", true);
    expect(await ends(server, 1)).toBe("other"); // the server's first stream
    guest.data(1, "lo", true);
    expect(await ends(server, 3)).toBe("hello");
    const { fields } = await server.hears("headers", (one) => one.stream === 3);
    expect(fields).toEqual({ ...POST, ":path": `${POST[":path"]}?late`, [SUMMED]: "hello" });
    server.headers(3, { ":status": "204" });
    await guest.hears("headers", (one) => one.stream === 1);
  });

  test("a body of nothing, one that ends in trailers, and a gate that is late", async () => {
    const { guest, server } = await converse2({
      gate: async (request) => await Promise.resolve(summing(request)),
    });
    guest.headers(1, POST, false);
    guest.data(1, "", true);
    expect(await ends(server, 1)).toBe("");
    guest.headers(3, POST, false);
    guest.data(3, "x");
    guest.headers(3, { "a-trailer": "y" });
    const { fields } = await server.hears("headers", (one) => one.stream === 3);
    expect(fields).toMatchObject({ [SUMMED]: "x" });
    await server.hears("headers", (one) => one.stream === 3 && "a-trailer" in one.fields);
  });

  test.each(["refused", "broken"])(
    "a body that is %s at its end reaches no server",
    async (body) => {
      const { guest, server, exchanges } = await converse2({ gate: summing });
      guest.headers(1, POST, false);
      guest.data(1, body, true);
      await guest.hears("reset");
      await settle();
      expect(server.on(1)).toEqual([]);
      expect(exchanges[0]?.refused).toBeDefined();
      guest.headers(3, POST, false);
      guest.data(3, "x", true);
      expect(await ends(server, 1)).toBe("x");
    },
  );

  test("a body that a window does not hold is refused, and its stream alone", async () => {
    const { guest, server, exchanges } = await converse2({ gate: summing });
    guest.headers(1, POST, false);
    for (let sent = 0; sent < 512 << 10; sent += 16_384) guest.data(1, Buffer.alloc(16_384, "a"));
    const { fields } = await guest.hears("headers", (one) => one.stream === 1);
    expect(fields).toMatchObject({ ":status": "431", "sbx-reason": "request-limit" });
    expect(server.on(1)).toEqual([]);
    expect(exchanges).toMatchObject([{ refused: { reason: "request-limit" } }]);
    guest.headers(3, POST, false);
    guest.data(3, "x", true);
    expect(await ends(server, 1)).toBe("x");
  });

  test("a stream that its guest gives up while it waits is told as one that came to nothing", async () => {
    const { guest, server, exchanges } = await converse2({ gate: summing });
    guest.headers(1, POST, false);
    guest.data(1, "x");
    guest.reset(1, 8);
    await settle();
    expect(exchanges).toMatchObject([{ up: 0 }]);
    expect(server.on(1)).toEqual([]);
  });
});

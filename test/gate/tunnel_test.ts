/** WebSockets of a guest with placeholders, at its gate. */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { acceptOf } from "../../lib/http/websocket.ts";
import { DEFAULT_PLACES } from "../../lib/policy/model/secret.ts";
import { Opcode, writeFrame } from "../../lib/secret/websocket/frame.ts";
import { converse, head } from "../http/conversation.ts";
import { converse as converse2, GET } from "../http/h2_conversation.ts";
import { contentOn, settle } from "../http/h2_peer.ts";
import { API, held } from "../secret/held.ts";
import { type Gated, gateOf, told } from "./kept.ts";

const VALUE = 'real"value';
const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const MASK = Buffer.from([1, 2, 3, 4]);

const inMessages = held(VALUE, { places: new Set([...DEFAULT_PLACES, "websocket"]) });
const notThere = held(VALUE);
const other = held(VALUE, { name: "OTHER", hosts: ["other.test"] });

const frame = (text: string, opcode: number = Opcode.Text, last = true) =>
  writeFrame({ last, opcode, mask: MASK }, Buffer.from(text)).toString("latin1");

const asked = (placeholder: string) =>
  head(
    "GET /socket HTTP/1.1",
    `Host: ${API}`,
    "Sec-WebSocket-Version: 13",
    `Sec-WebSocket-Key: ${KEY}`,
    "Sec-WebSocket-Extensions: permessage-deflate",
    `Authorization: Bearer ${placeholder}`,
    "Upgrade: websocket",
    "Connection: Upgrade",
  );

async function opened(all: Gated, placeholder: string) {
  const conversation = converse({ gate: all.gate });
  const { guest, server } = conversation;
  guest.say(asked(placeholder));
  await server.hears("\r\n\r\n");
  const begin = server.heard.length;
  server.say(head(
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${acceptOf(KEY)}`,
  ));
  await guest.hears("101");
  return {
    ...conversation,
    /** Sends these in pieces; what the server heard of the tunnel. */
    async say(text: string, size = text.length) {
      for (let at = 0; at < text.length; at += size) {
        guest.say(Buffer.from(text.slice(at, at + size), "latin1"));
        await settle();
      }
      return server.heard.slice(begin);
    },
    async close() {
      guest.stream.end();
      await settle();
      server.stream.end();
      await settle();
    },
  };
}

describe("a WebSocket", () => {
  test("is asked for with the value, and without what would make its messages unreadable", async () => {
    const all = gateOf([notThere]);
    const { server } = await opened(all, notThere.placeholder.text);
    const plain = asked(VALUE).replace("Sec-WebSocket-Extensions: permessage-deflate\r\n", "");
    expect(server.heard).toBe(plain);
    expect(told(all)).toEqual(["API_KEY sent header 1"]);
  });

  test.each([1, 7, 1_000])(
    "has values in its messages where they may, in pieces of %d",
    async (size) => {
      const { text } = inMessages.placeholder;
      const all = gateOf([inMessages]);
      const { say, close } = await opened(all, text);
      const sent = [
        frame(`say ${text}`),
        frame(JSON.stringify({ key: text })),
        frame(text.slice(0, 20), Opcode.Text, false),
        frame("ping", Opcode.Ping),
        frame(text.slice(20), Opcode.Continuation),
        frame(text, Opcode.Binary),
      ];
      const heard = await say(sent.join(""), size);
      expect(heard).toStartWith(frame(`say ${VALUE}`) + frame(JSON.stringify({ key: VALUE })));
      expect(heard).toEndWith(frame(text, Opcode.Binary));
      await close();
      expect(told(all)).toEqual(["API_KEY sent header 1", "API_KEY sent websocket 3"]);
    },
  );

  test("goes on as it is where they may not, and is told of once", async () => {
    const { text } = notThere.placeholder;
    const all = gateOf([notThere]);
    const { say, close } = await opened(all, text);
    const sent = frame(text) + frame(JSON.stringify([text])) + frame("bye", Opcode.Close);
    expect(await say(sent, 9)).toBe(sent);
    await close();
    expect(told(all)).toEqual(["API_KEY sent header 1", "API_KEY inert websocket 1"]);
  });

  test.each<[where: string, frames: (text: string) => string]>([
    ["a message", (text) => frame(text)],
    [
      "one that is cut into frames",
      (text) =>
        frame(text.slice(0, 30), Opcode.Text, false) + frame(text.slice(30), Opcode.Continuation),
    ],
    ["a ping", (text) => frame(text, Opcode.Ping)],
    ["binary", (text) => frame(text, Opcode.Binary)],
  ])("is cut with a placeholder for another host in %s", async (_, frames) => {
    const all = gateOf([notThere, other]);
    const { guest, say, exchanges } = await opened(all, notThere.placeholder.text);
    const heard = await say(frame("before") + frames(other.placeholder.text), 11);
    await guest.over();
    expect(heard).toStartWith(frame("before"));
    expect(heard.length).toBeLessThan((frame("before") + frames(other.placeholder.text)).length);
    expect(exchanges[0]?.refused).toEqual({ reason: "secret-violation", detail: "OTHER" });
    expect(all.violations).toMatchObject([{
      sightings: [{ name: "OTHER" }],
      route: "tunnel",
      to: API,
    }]);

    const calm = gateOf([notThere, other]);
    const neighbour = await opened(calm, notThere.placeholder.text);
    const harmless = frame("before") + frames("x".repeat(40));
    expect(await neighbour.say(harmless, 11)).toBe(harmless);
    expect(calm.violations).toEqual([]);
  });

  test("is cut when it is none", async () => {
    const all = gateOf([notThere]);
    const { guest, say, exchanges } = await opened(all, notThere.placeholder.text);
    expect(await say("GET / HTTP/1.1\r\n\r\n")).toBe("");
    await guest.over();
    expect(exchanges[0]?.refused?.reason).toBe("secret-unreadable");
  });

  test("has values in its messages over HTTP/2 as well", async () => {
    const { text } = inMessages.placeholder;
    const all = gateOf([inMessages]);
    const { guest, server } = await converse2({ gate: all.gate }, [[8, 1]]);
    guest.headers(1, {
      ...GET,
      ":method": "CONNECT",
      ":protocol": "websocket",
      "sec-websocket-extensions": "permessage-deflate",
      authorization: `Bearer ${text}`,
    }, false);
    const { fields } = await server.hears("headers");
    expect(fields).toMatchObject({ authorization: `Bearer ${VALUE}` });
    expect(fields).not.toHaveProperty("sec-websocket-extensions");
    server.headers(1, { ":status": "200" }, false);
    guest.data(1, Buffer.from(frame(text), "latin1"));
    await settle();
    expect(contentOn(server, 1)).toBe(Buffer.from(frame(VALUE), "latin1").toString());
    expect(all.violations).toEqual([]);
  });
});

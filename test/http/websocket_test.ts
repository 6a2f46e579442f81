import { describe, expect, test } from "bun:test";
import { acceptOf } from "../../lib/http/websocket.ts";
import { converse, head } from "./conversation.ts";

const HOST = "Host: api.allowed.test";
const GET = head("GET /a?b=c HTTP/1.1", HOST, "X-One: 1");
const OK = head("HTTP/1.1 200 OK", "Content-Length: 2") + "hi";

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const UPGRADE = head(
  "GET /chat HTTP/1.1",
  HOST,
  "Sec-WebSocket-Key: " + KEY,
  "Sec-WebSocket-Version: 13",
  "Upgrade: WebSocket",
  "Connection: keep-alive, Upgrade",
);
const SWITCH = head(
  "HTTP/1.1 101 Switching Protocols",
  `Sec-WebSocket-Accept: ${acceptOf(KEY)}`,
  "Upgrade: websocket",
  "Connection: Upgrade",
);

describe("an upgrade to WebSocket", () => {
  test("knows the example of RFC 6455", () => {
    expect(acceptOf(KEY)).toBe("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
  });

  test("leaves HTTP when the server proves that it understood", async () => {
    const { guest, server, exchanges, closed } = converse();
    guest.say(UPGRADE);
    expect(await server.hears("Connection: Upgrade")).toContain("Upgrade: websocket\r\n");
    server.say(SWITCH + "\x81\x02hi");
    expect(await guest.hears("hi")).toBe(SWITCH + "\x81\x02hi");
    guest.say("\x00\xff\r\n");
    await server.hears("\x00\xff\r\n");
    guest.stream.end("last");
    await server.hears("last");
    server.say("words");
    server.stream.end();
    expect(await guest.over()).toBe(SWITCH + "\x81\x02hiwords");
    await closed;
    expect(exchanges).toMatchObject([{ status: 101, up: 8, down: 9 }]);
  });

  test("stays HTTP when the server does not take it up", async () => {
    const { guest, server } = converse();
    guest.say(UPGRADE + head("GET /next HTTP/1.1", "Host: evil.test"));
    await server.hears("\r\n\r\n");
    server.say(OK);
    expect(await guest.over()).toContain("HTTP/1.1 421 ");
    expect(server.heard).not.toContain("evil.test");
  });

  test.each<[string, string, string]>([
    ["nobody asked for", GET, SWITCH],
    ["to another protocol", UPGRADE, SWITCH.replace("websocket", "h2c")],
    ["without proof", UPGRADE, SWITCH.replace(/Sec-[^\r]*\r\n/, "")],
    ["with the proof of another key", UPGRADE, SWITCH.replace("s3pPL", "s3pPM")],
  ])("is no 101 that comes %s", async (_what, request, response) => {
    const { guest, server, exchanges } = converse();
    guest.say(request);
    await server.hears("\r\n\r\n");
    server.say(response + "secret");
    const heard = await guest.over();
    expect(heard).toStartWith("HTTP/1.1 502 Bad Gateway\r\n");
    expect(heard).not.toContain("secret");
    expect(exchanges).toMatchObject([{ status: 502, refused: { reason: "upstream-malformed" } }]);
  });
});

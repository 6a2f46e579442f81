import { describe, expect, test } from "bun:test";
import { converse, head } from "./conversation.ts";

const GET = head("GET /a?b=c HTTP/1.1", "Host: api.allowed.test", "X-One: 1");
const OK = head("HTTP/1.1 200 OK", "Content-Length: 2") + "hi";

describe("an exchange", () => {
  test("goes through, and is told about without its query", async () => {
    const { guest, server, exchanges, closed } = converse();
    guest.say(GET);
    expect(await server.hears("\r\n\r\n")).toBe(GET);
    server.say(OK);
    expect(await guest.hears("hi")).toBe(OK);
    guest.stream.end();
    await closed;
    expect(exchanges).toEqual([{
      request: { method: "GET", host: "api.allowed.test", path: "/a" },
      status: 200,
      up: 0,
      down: 2,
      ms: expect.any(Number),
    }]);
  });
});

import { describe, expect, test } from "bun:test";
import { judging } from "../../lib/http/gate.ts";
import { converse, head } from "./conversation.ts";

const HOST = "Host: api.allowed.test";
const GET = head("GET /a?b=c HTTP/1.1", HOST, "X-One: 1");
const OK = head("HTTP/1.1 200 OK", "Content-Length: 2") + "hi";

test("a response's length is sent on as it is understood, of HEAD as well", async () => {
  for (const [method, status] of [["GET", 200], ["HEAD", 200], ["GET", 304]]) {
    const { guest, server } = converse();
    guest.say(head(`${method} / HTTP/1.1`, HOST));
    await server.hears("\r\n\r\n");
    const body = method === "GET" && status === 200 ? "01234567" : "";
    server.say(head(`HTTP/1.1 ${status} OK`, "Content-Length: 008") + body);
    await guest.hears(head(`HTTP/1.1 ${status} OK`, "Content-Length: 8") + body);
  }
});

describe("an exchange", () => {
  test("goes through, and is told about without its query", async () => {
    const { guest, server, exchanges, judged, closed } = converse();
    guest.say(GET);
    expect(await server.hears("\r\n\r\n")).toBe(GET);
    server.say(OK);
    expect(await guest.hears("hi")).toBe(OK);
    guest.stream.end();
    await closed;
    const request = { method: "GET", host: "api.allowed.test", path: "/a" };
    expect(judged).toEqual([request]);
    expect(exchanges).toEqual([{ request, status: 200, up: 0, down: 2, ms: expect.any(Number) }]);
  });

  test.each<[what: string, request: string, atServer: string]>([
    [
      "a length in plain digits",
      head("POST / HTTP/1.1", HOST, "Content-Length: 3") + "abc",
      head("POST / HTTP/1.1", HOST, "Content-Length: 3") + "abc",
    ],
    [
      "chunks, without their extensions",
      head("POST / HTTP/1.1", HOST, "Transfer-Encoding: Chunked") +
      "3;secret=1\r\nabc\r\n0\r\n\r\n",
      head("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked") + "3\r\nabc\r\n0\r\n\r\n",
    ],
    [
      "trailers, but none that belong into a head",
      head("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked", "Trailer: X-Sum") +
      "0\r\nX-Sum: 7\r\nHost: evil.test\r\nContent-Length: 9\r\n\r\n",
      head("POST / HTTP/1.1", HOST, "Trailer: X-Sum", "Transfer-Encoding: chunked") +
      "0\r\nX-Sum: 7\r\n\r\n",
    ],
    [
      "a Host in other letters, with a root dot and its port",
      head("GET / HTTP/1.1", "HOST: API.Allowed.TEST.:443"),
      head("GET / HTTP/1.1", "Host: api.allowed.test:443"),
    ],
    [
      "what Connection nominates, save what decides where a request goes and ends",
      head(
        "POST / HTTP/1.1",
        HOST,
        "Connection: X-Gone, host, content-length, authorization",
        "X-Gone: 1",
        "Authorization: Bearer t",
        "Content-Length: 1",
      ) + "x",
      head("POST / HTTP/1.1", HOST, "Authorization: Bearer t", "Content-Length: 1") + "x",
    ],
    [
      "an upgrade to h2c, as the request without",
      head(
        "GET / HTTP/1.1",
        HOST,
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAMAAABk",
      ),
      head("GET / HTTP/1.1", HOST),
    ],
    [
      "a WebSocket key alone, as the request without an upgrade",
      head("GET / HTTP/1.1", HOST, "Upgrade: websocket", "Sec-WebSocket-Key: x"),
      head("GET / HTTP/1.1", HOST, "Sec-WebSocket-Key: x"),
    ],
    [
      "the wish for trailers",
      head("GET / HTTP/1.1", HOST, "TE: gzip, trailers", "Connection: TE"),
      head("GET / HTTP/1.1", HOST, "TE: trailers", "Connection: TE"),
    ],
    [
      "duplicates, odd letters and bytes above ASCII, in their order",
      head("GET /\xe4 HTTP/1.1", "a: 1", HOST, "A: 2", "x:  \xfc \t", "Cookie: a=b"),
      head("GET /\xe4 HTTP/1.1", "a: 1", HOST, "A: 2", "x: \xfc", "Cookie: a=b"),
    ],
    [
      "an expectation without a body, as the request without",
      head("GET / HTTP/1.1", HOST, "Expect: 100-continue"),
      head("GET / HTTP/1.1", HOST),
    ],
    ["OPTIONS of the server", head("OPTIONS * HTTP/1.1", HOST), head("OPTIONS * HTTP/1.1", HOST)],
    [
      "HTTP/1.0",
      head("GET / HTTP/1.0", HOST, "Connection: keep-alive"),
      head("GET / HTTP/1.0", HOST, "Connection: keep-alive"),
    ],
    [
      "an empty line before a request",
      "\r\n" + head("GET / HTTP/1.1", HOST),
      head("GET / HTTP/1.1", HOST),
    ],
    [
      "three empty lines before a request",
      "\r\n\r\n\r\n" + head("GET / HTTP/1.1", HOST),
      head("GET / HTTP/1.1", HOST),
    ],
    [
      "a Host in the letters that its guest wrote",
      head("GET / HTTP/1.1", "Host: API.Allowed.TEST:443"),
      head("GET / HTTP/1.1", "Host: API.Allowed.TEST:443"),
    ],
    [
      "a length as it is understood",
      head("POST / HTTP/1.1", HOST, "Content-Length: 0010") + "0123456789",
      head("POST / HTTP/1.1", HOST, "Content-Length: 10") + "0123456789",
    ],
  ])("sends on %s", async (_what, request, atServer) => {
    const { guest, server } = converse();
    guest.say(request);
    expect(await server.hears(atServer.slice(-12))).toBe(atServer);
    server.say(OK);
    await guest.hears("hi");
  });

  test("waits for the body only when the server says so", async () => {
    const { guest, server } = converse();
    const lines = ["POST / HTTP/1.1", HOST, "Content-Length: 2", "Expect: 100-continue"];
    guest.say(head(...lines));
    expect(await server.hears("\r\n\r\n")).toBe(head(...lines));
    server.say(head("HTTP/1.1 100 Continue"));
    await guest.hears("100 Continue\r\n\r\n");
    guest.say("ab");
    await server.hears("\r\n\r\nab");
    server.say(OK);
    await guest.hears("hi");
  });

  test("is over when its server answers without the body that was held back", async () => {
    const { guest, server } = converse();
    guest.say(head("POST / HTTP/1.1", HOST, "Content-Length: 60", "Expect: 100-continue"));
    const asked = await server.hears("\r\n\r\n");
    server.say(OK); // and takes what follows for another request
    await guest.hears("hi");
    guest.say(head("GET /smuggled HTTP/1.1", "Host: bad.allowed.test"));
    expect(await guest.over()).toBe(
      head("HTTP/1.1 200 OK", "Content-Length: 2", "Connection: close") + "hi",
    );
    expect(server.heard).toBe(asked);
  });

  test("is sent on when the guest does not wait with it", async () => {
    const { guest, server } = converse();
    guest.say(head("POST / HTTP/1.1", HOST, "Content-Length: 2", "Expect: 100-continue") + "ab");
    await server.hears("\r\n\r\nab");
    server.say(OK);
    expect(await guest.hears("hi")).toBe(OK);
  });

  test("can be refused by its server before its body came", async () => {
    const { guest, server, exchanges } = converse();
    guest.say(head("POST / HTTP/1.1", HOST, "Content-Length: 9999", "Expect: 100-continue"));
    await server.hears("\r\n\r\n");
    server.say(head("HTTP/1.1 413 Too Large", "Content-Length: 0", "Connection: close"));
    expect(await guest.over()).toBe(
      head("HTTP/1.1 413 Too Large", "Content-Length: 0", "Connection: close"),
    );
    expect(exchanges).toMatchObject([{ status: 413, up: 0 }]);
  });

  test("shows early hints, and drops what they say about a body", async () => {
    const { guest, server } = converse();
    guest.say(GET);
    await server.hears("\r\n\r\n");
    server.say(head("HTTP/1.1 103 Early Hints", "Link: </a>", "Content-Length: 5") + OK);
    expect(await guest.hears("hi")).toBe(head("HTTP/1.1 103 Early Hints", "Link: </a>") + OK);
  });

  test("streams both ways at the same time", async () => {
    const { guest, server } = converse();
    guest.say(head("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked"));
    await server.hears("\r\n\r\n");
    server.say(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked"));
    for (const word of ["one", "two", "three"]) {
      guest.say(`${word.length}\r\n${word}\r\n`);
      await server.hears(`${word}\r\n`);
      server.say(`${word.length}\r\n${word}\r\n`);
      await guest.hears(`${word}\r\n`);
    }
    guest.say("0\r\n\r\n");
    await server.hears("\r\n0\r\n\r\n");
    server.say("0\r\nX-Sum: 1\r\n\r\n");
    await guest.hears("0\r\nX-Sum: 1\r\n\r\n");
  });

  test.each<[what: string, method: string, response: string, atGuest: string]>([
    [
      "to HEAD, with the length of what it leaves out",
      "HEAD",
      head("HTTP/1.1 200 OK", "Content-Length: 5"),
      head("HTTP/1.1 200 OK", "Content-Length: 5"),
    ],
    [
      "204, whatever length it claims",
      "GET",
      head("HTTP/1.1 204 No Content", "Content-Length: 5"),
      head("HTTP/1.1 204 No Content"),
    ],
    [
      "304",
      "GET",
      head("HTTP/1.1 304 Not Modified", 'ETag: "x"'),
      head("HTTP/1.1 304 Not Modified", 'ETag: "x"'),
    ],
    [
      "in chunks",
      "GET",
      head("HTTP/1.1 200 Fine", "Transfer-Encoding: chunked") + "a\r\n0123456789\r\n0\r\n\r\n",
      head("HTTP/1.1 200 Fine", "Transfer-Encoding: chunked") + "a\r\n0123456789\r\n0\r\n\r\n",
    ],
    [
      "without its connection's fields",
      "GET",
      head(
        "HTTP/1.1 200 OK",
        "Content-Length: 0",
        "Connection: x-hop",
        "X-Hop: 1",
        "Set-Cookie: a",
      ),
      head("HTTP/1.1 200 OK", "Content-Length: 0", "Set-Cookie: a"),
    ],
    ["a redirect, unfollowed", "GET", REDIRECT(), REDIRECT()],
  ])("is answered %s, and another follows", async (_what, method, response, atGuest) => {
    const { guest, server } = converse();
    const request = head(`${method} / HTTP/1.1`, HOST);
    guest.say(request);
    await server.hears(request);
    server.say(response);
    expect(await guest.hears(atGuest.slice(-16))).toBe(atGuest);
    guest.say(GET);
    await server.hears("X-One");
    server.say(OK);
    expect(await guest.hears("hi")).toBe(atGuest + OK);
  });

  test.each<[what: string, request: string, response: string, atGuest: string]>([
    [
      "by a server that closes at the end of its body",
      GET,
      head("HTTP/1.1 200 OK") + "all of it",
      head("HTTP/1.1 200 OK", "Connection: close") + "all of it",
    ],
    [
      "by an old server",
      GET,
      head("HTTP/1.0 200 OK", "Content-Length: 2") + "hi",
      head("HTTP/1.1 200 OK", "Content-Length: 2", "Connection: close") + "hi",
    ],
    [
      "to an old guest, which is spared chunks",
      head("GET / HTTP/1.0", HOST),
      head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + "2\r\nhi\r\n0\r\n\r\n",
      head("HTTP/1.1 200 OK", "Connection: close") + "hi",
    ],
    [
      "to a guest that wants no more",
      head("GET / HTTP/1.1", HOST, "Connection: close"),
      OK,
      head("HTTP/1.1 200 OK", "Content-Length: 2", "Connection: close") + "hi",
    ],
  ])("is answered %s, and the connection ends", async (_what, request, response, atGuest) => {
    const { guest, server, exchanges } = converse();
    guest.say(request);
    await server.hears("\r\n\r\n");
    server.say(response);
    server.stream.end();
    expect(await guest.over()).toBe(atGuest);
    expect(exchanges).toMatchObject([{ status: 200 }]);
  });
});

function REDIRECT() {
  return head("HTTP/1.1 302 Found", "Location: https://evil.test/?k=v", "Content-Length: 0");
}

describe("on a connection to nobody in particular", () => {
  test("each request is judged by the host that it states itself", async () => {
    const { guest, server, exchanges } = converse({
      destination: { scheme: "https", host: null, port: 80 },
      gate: judging(({ host }) => host === "bad.allowed.test" ? { reason: "rule" } : null),
    });
    for (const host of ["api.allowed.test", "files.allowed.test:80"]) {
      guest.say(head("GET / HTTP/1.1", `Host: ${host}`));
      await server.hears(host);
      server.say(OK);
      await guest.hears("hi");
    }
    guest.say(head("GET / HTTP/1.1", "Host: bad.allowed.test"));
    expect(await guest.over()).toContain("HTTP/1.1 403 Forbidden\r\n");
    expect(server.heard).not.toContain("bad");
    expect(exchanges.map(({ request }) => request?.host)).toEqual([
      "api.allowed.test",
      "files.allowed.test",
      "bad.allowed.test",
    ]);
  });

  test("a request for another port is still for another server", async () => {
    const { guest } = converse({ destination: { scheme: "https", host: null, port: 80 } });
    guest.say(head("GET / HTTP/1.1", "Host: api.allowed.test:443"));
    expect(await guest.over()).toContain("sbx-reason: host-mismatch\r\n");
  });
});

describe("requests sent ahead", () => {
  test("wait for their turn and are answered in order", async () => {
    const { guest, server, exchanges } = converse();
    guest.say([1, 2, 3].map((n) => head(`GET /${n} HTTP/1.1`, HOST)).join(""));
    for (const n of [1, 2, 3]) {
      expect(await server.hears(`GET /${n} `)).not.toContain(`GET /${n + 1} `);
      server.say(head("HTTP/1.1 200 OK", "Content-Length: 1") + n);
      await guest.hears(`\r\n\r\n${n}`);
    }
    expect(exchanges.map(({ request }) => request?.path)).toEqual(["/1", "/2", "/3"]);
  });

  test("are judged one by one: what is refused ends the connection after what was served", async () => {
    const { guest, server, exchanges } = converse({
      gate: judging(({ path }) => path === "/3" ? { reason: "rule", detail: "rule 4" } : null),
    });
    guest.say([1, 2, 3, 4].map((n) => head(`GET /${n} HTTP/1.1`, HOST)).join(""));
    for (const n of [1, 2]) {
      await server.hears(`GET /${n} `);
      server.say(head("HTTP/1.1 200 OK", "Content-Length: 1") + n);
    }
    const heard = await guest.over();
    expect(heard).toContain("HTTP/1.1 403 Forbidden");
    expect(heard).toContain("sbx-reason: rule\r\n");
    expect(heard).toContain("rule 4");
    expect(server.heard).not.toContain("/3");
    expect(exchanges.map(({ status }) => status)).toEqual([200, 200, 403]);
    expect(exchanges[2]?.refused).toEqual({ reason: "rule", detail: "rule 4" });
  });

  test("are not answered by what a server said before it saw them", async () => {
    const { guest, server } = converse();
    guest.say(head("GET /1 HTTP/1.1", HOST) + head("GET /2 HTTP/1.1", HOST));
    await server.hears("/1");
    server.say(OK + head("HTTP/1.1 200 OK", "Content-Length: 6") + "forged");
    expect(await guest.over()).toBe(OK);
    expect(server.heard).not.toContain("/2");
  });
});

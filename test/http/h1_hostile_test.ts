/**
 * What no relay may let through: requests and responses that two readers would read in two ways. Each
 * case asserts both sides: what its sender got, and that the other side got nothing of it.
 */
import { describe, expect, test } from "bun:test";
import { HTTP_LIMITS } from "../../lib/http/exchange.ts";
import { converse, head } from "./conversation.ts";

const HOST = "Host: api.allowed.test";
const GET = head("GET / HTTP/1.1", HOST);
const OK = head("HTTP/1.1 200 OK", "Content-Length: 2") + "hi";
const many = (count: number, line: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => line(n));

type Refused = [what: string, request: string, status: number, reason: string];

const FRAMING: Refused[] = [
  [
    "a length and chunks",
    post("Content-Length: 5", "Transfer-Encoding: chunked"),
    400,
    MALFORMED(),
  ],
  [
    "chunks and a length",
    post("Transfer-Encoding: chunked", "Content-Length: 5"),
    400,
    MALFORMED(),
  ],
  ["two lengths", post("Content-Length: 5", "Content-Length: 6"), 400, MALFORMED()],
  ["the same length twice", post("Content-Length: 5", "Content-Length: 5"), 400, MALFORMED()],
  ["a list of lengths", post("Content-Length: 5, 5"), 400, MALFORMED()],
  ["a length with a sign", post("Content-Length: +5"), 400, MALFORMED()],
  ["a length below nothing", post("Content-Length: -5"), 400, MALFORMED()],
  ["a length in hexadecimal", post("Content-Length: 0x5"), 400, MALFORMED()],
  ["an empty length", post("Content-Length:"), 400, MALFORMED()],
  ["a length beyond counting", post("Content-Length: 99999999999999999999"), 400, MALFORMED()],
  ["a space before the colon", post("Content-Length : 5"), 400, MALFORMED()],
  ["gzip, chunked", post("Transfer-Encoding: gzip, chunked"), 400, MALFORMED()],
  ["chunked, identity", post("Transfer-Encoding: chunked, identity"), 400, MALFORMED()],
  ["chunked twice", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), 400, "*"],
  ["xchunked", post("Transfer-Encoding: xchunked"), 400, MALFORMED()],
  ["a vertical tab before chunked", post("Transfer-Encoding: \x0bchunked"), 400, MALFORMED()],
  ["quoted chunked", post('Transfer-Encoding: "chunked"'), 400, MALFORMED()],
  ["an unknown expectation", post("Content-Length: 5", "Expect: y 100-continue"), 400, MALFORMED()],
  ["two expectations", post("Content-Length: 5", "Expect: 100-continue", "Expect: x"), 400, "*"],
  [
    "chunks in HTTP/1.0",
    head("POST / HTTP/1.0", HOST, "Transfer-Encoding: chunked"),
    400,
    MALFORMED(),
  ],
];

const LINES: Refused[] = [
  ["bare line feeds", `GET / HTTP/1.1\n${HOST}\n\n`, 400, MALFORMED()],
  ["a bare line feed in a value", head("GET / HTTP/1.1", HOST, "X: a\nHost: evil.test"), 400, "*"],
  ["a bare carriage return", head("GET / HTTP/1.1", HOST, "X: a\rHost: evil.test"), 400, "*"],
  ["a folded line", head("GET / HTTP/1.1", HOST, "X: a", " Host: evil.test"), 400, MALFORMED()],
  ["a folded line first", head("GET / HTTP/1.1", " X: a", HOST), 400, MALFORMED()],
  ["a NUL in a value", head("GET / HTTP/1.1", HOST, "X: a\0b"), 400, MALFORMED()],
  ["a NUL in a name", head("GET / HTTP/1.1", HOST, "X\0: a"), 400, MALFORMED()],
  ["a name with a space", head("GET / HTTP/1.1", HOST, "X Y: a"), 400, MALFORMED()],
  ["an empty name", head("GET / HTTP/1.1", HOST, ": a"), 400, MALFORMED()],
  ["a line without a colon", head("GET / HTTP/1.1", HOST, "X"), 400, MALFORMED()],
  ["two spaces in the request line", head("GET  / HTTP/1.1", HOST), 400, MALFORMED()],
  ["a tab in the request line", head("GET\t/ HTTP/1.1", HOST), 400, MALFORMED()],
  ["a space in the target", head("GET /a b HTTP/1.1", HOST), 400, MALFORMED()],
  ["a placeholder in the method", head("GET{x} / HTTP/1.1", HOST), 400, MALFORMED()],
  ["a fragment", head("GET /a#b HTTP/1.1", HOST), 400, MALFORMED()],
  ["HTTP/1.2", head("GET / HTTP/1.2", HOST), 400, MALFORMED()],
  ["HTTP/2.0 in the line", head("GET / HTTP/2.0", HOST), 400, MALFORMED()],
  ["HTTP/0.9", "GET /\r\n\r\n", 400, MALFORMED()],
  ["HTTP/2 by prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, MALFORMED()],
  ["TLS inside TLS", "\x16\x03\x01\x00\x05hello\r\n\r\n", 400, MALFORMED()],
];

const HOSTS: Refused[] = [
  ["no Host", head("GET / HTTP/1.1"), 400, MALFORMED()],
  ["no Host in HTTP/1.0", head("GET / HTTP/1.0"), 400, MALFORMED()],
  ["an empty Host", head("GET / HTTP/1.1", "Host:"), 400, MALFORMED()],
  ["two Hosts", head("GET / HTTP/1.1", HOST, "Host: evil.test"), 400, MALFORMED()],
  ["the same Host twice", head("GET / HTTP/1.1", HOST, HOST), 400, MALFORMED()],
  ["a user before the host", head("GET / HTTP/1.1", "Host: api.allowed.test@evil.test"), 400, "*"],
  ["a list of hosts", head("GET / HTTP/1.1", "Host: api.allowed.test, evil.test"), 400, "*"],
  ["a path behind the host", head("GET / HTTP/1.1", "Host: api.allowed.test/x"), 400, MALFORMED()],
  ["a port that is none", head("GET / HTTP/1.1", "Host: api.allowed.test:4a3"), 400, MALFORMED()],
  ["an empty port", head("GET / HTTP/1.1", "Host: api.allowed.test:"), 400, MALFORMED()],
  ["another host", head("GET / HTTP/1.1", "Host: bad.allowed.test"), 421, "host-mismatch"],
  ["a host below", head("GET / HTTP/1.1", "Host: x.api.allowed.test"), 421, "host-mismatch"],
  ["an address", head("GET / HTTP/1.1", "Host: 93.184.216.34"), 421, "host-mismatch"],
  ["another port", head("GET / HTTP/1.1", "Host: api.allowed.test:8443"), 421, "host-mismatch"],
  [
    "a WebSocket to another host",
    head(
      "GET / HTTP/1.1",
      "Host: bad.allowed.test",
      "Connection: Upgrade",
      "Upgrade: websocket",
      "Sec-WebSocket-Version: 13",
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ),
    421,
    "host-mismatch",
  ],
  ["an absolute target", head("GET https://api.allowed.test/ HTTP/1.1", HOST), 400, MALFORMED()],
  ["an absolute target elsewhere", head("GET http://evil.test/ HTTP/1.1", HOST), 400, MALFORMED()],
  ["* with GET", head("GET * HTTP/1.1", HOST), 400, MALFORMED()],
  ["CONNECT", head("CONNECT evil.test:443 HTTP/1.1", "Host: evil.test:443"), 405, "method"],
  ["CONNECT to itself", head("CONNECT api.allowed.test:443 HTTP/1.1", HOST), 405, "method"],
  ["TRACE", head("TRACE / HTTP/1.1", HOST, "X-Secret: 1"), 405, "method"],
  ["trace in other letters", head("tRaCe / HTTP/1.1", HOST), 405, "method"],
];

const SIZES: Refused[] = [
  [
    "a head beyond the limit",
    head("GET / HTTP/1.1", HOST, `X: ${"a".repeat(HTTP_LIMITS.headBytes)}`),
    431,
    "request-limit",
  ],
  ["a target beyond the limit", `GET /${"a".repeat(HTTP_LIMITS.headBytes)}`, 431, "request-limit"],
  [
    "2,000 fields",
    head("GET / HTTP/1.1", HOST, ...many(2000, (n) => `X-${n}: 1`)),
    431,
    "request-limit",
  ],
];

function post(...lines: string[]): string {
  return head("POST / HTTP/1.1", HOST, ...lines) + "5\r\nhello\r\n0\r\n\r\n";
}

function MALFORMED() {
  return "request-malformed";
}

describe.each([["framing", FRAMING], ["lines", LINES], ["hosts", HOSTS], ["sizes", SIZES]])(
  "requests refused for their %s",
  (_group, cases) => {
    test.each(cases)("%s", async (_what, request, status, reason) => {
      const { guest, server, exchanges, closed } = converse();
      guest.say(request);
      const heard = await guest.over();
      expect(heard).toStartWith(`HTTP/1.1 ${status} `);
      expect(heard).toContain("Connection: close\r\n");
      expect(guest.ended).toBe(true);
      guest.stream.end();
      await closed;
      expect(server.heard).toBe("");
      const why = reason === "*" ? MALFORMED() : reason;
      expect(heard).toContain(`sbx-reason: ${why}\r\n`);
      expect(exchanges).toMatchObject([{ status, refused: { reason: why } }]);
    });
  },
);

test.each<[what: string, request: string]>([
  ["a chunk size that is none", "xyz\r\nhello\r\n0\r\n\r\n"],
  ["a chunk size with a prefix", "0x5\r\nhello\r\n0\r\n\r\n"],
  ["a chunk size with a sign", "+5\r\nhello\r\n0\r\n\r\n"],
  ["a chunk size beyond counting", "fffffffffffff5\r\nhello\r\n0\r\n\r\n"],
  ["a chunk that is longer than its size", "3\r\nhello\r\n0\r\n\r\n"],
  ["a bare line feed after a size", "5\nhello\r\n0\r\n\r\n"],
  ["a bare line feed after a chunk", "5\r\nhello\n0\r\n\r\n"],
  ["an endless extension", `5;${"a".repeat(4000)}`],
  ["a malformed trailer", "0\r\nX : 1\r\n\r\n"],
  ["a folded trailer", "0\r\nX: 1\r\n y\r\n\r\n"],
  ["endless trailers", `0\r\n${"X: 1\r\n".repeat(500)}`],
])("a request whose body has %s never becomes whole", async (_what, body) => {
  const { guest, server, closed } = converse();
  guest.say(head("POST / HTTP/1.1", HOST, "Transfer-Encoding: chunked"));
  await server.hears("\r\n\r\n");
  guest.say(body);
  expect(await guest.over()).toMatch(/^HTTP\/1\.1 4(00|31) /);
  guest.stream.end();
  await closed;
  expect(server.heard).not.toContain("\r\n0\r\n");
  expect(server.ended).toBe(false); // reset
});

test("a request for another host is told about with what it asked for", async () => {
  const { guest, exchanges } = converse();
  guest.say(head("GET /a?b HTTP/1.1", "Host: bad.allowed.test:8443"));
  await guest.over();
  const request = { method: "GET", host: "bad.allowed.test", path: "/a" };
  const refused = { reason: "host-mismatch", detail: "bad.allowed.test:8443" } as const;
  expect(exchanges).toEqual([{ request, status: 421, up: 0, down: 0, ms: 0, refused }]);
});

test("a request behind one that was refused is never looked at", async () => {
  const { guest, server, judged } = converse();
  guest.say(
    post("Content-Length: 3", "Transfer-Encoding: chunked") + head("GET /x HTTP/1.1", HOST),
  );
  await guest.over();
  expect(judged).toEqual([]);
  expect(server.heard).toBe("");
});

describe("responses of which a guest sees nothing", () => {
  test.each<[what: string, response: string]>([
    ["a length and chunks", answer("Content-Length: 6", "Transfer-Encoding: chunked")],
    ["two lengths", answer("Content-Length: 6", "Content-Length: 7")],
    ["a bare carriage return", answer("X: a\rSet-Cookie: forged", "Content-Length: 6")],
    ["a bare line feed", answer("X: a\nSet-Cookie: forged", "Content-Length: 6")],
    ["a folded line", answer("X: a", " b", "Content-Length: 6")],
    ["a NUL", answer("X: a\0", "Content-Length: 6")],
    ["a space before the colon", answer("Content-Length : 6")],
    ["another coding", answer("Transfer-Encoding: gzip, chunked")],
    ["chunks in HTTP/1.0", answer("Transfer-Encoding: chunked").replace("1.1", "1.0")],
    ["a status that is none", answer("Content-Length: 6").replace("200", "20")],
    ["a status below 100", answer("Content-Length: 6").replace("200", "099")],
    ["HTTP/2", answer("Content-Length: 6").replace("1.1", "2.0")],
    ["an empty line first", "\r\n" + answer("Content-Length: 6")],
    ["no HTTP", "SSH-2.0-OpenSSH_9.2\r\n\r\nforged"],
    ["a head without end", answer(`X: ${"forged".repeat(20_000)}`)],
    ["2,000 fields", answer(...many(2000, (n) => `X-${n}: forged`))],
    ["1,000 interim responses", head("HTTP/1.1 102 Processing").repeat(1000) + answer()],
  ])("%s", async (_what, response) => {
    const { guest, server, exchanges, closed } = converse();
    guest.say(GET);
    await server.hears("\r\n\r\n");
    server.say(response);
    const heard = await guest.over();
    expect(heard).toContain("HTTP/1.1 502 Bad Gateway\r\n");
    expect(heard).not.toContain("forged");
    guest.stream.end();
    await closed;
    expect(exchanges).toMatchObject([{ status: 502, refused: { reason: "upstream-malformed" } }]);
  });

  function answer(...lines: string[]): string {
    return head("HTTP/1.1 200 OK", ...lines) + "forged";
  }
});

test.each<[what: string, tail: string]>([
  ["a second response", OK.replace("hi", "no")],
  ["stray bytes", "forged"],
])("after a response comes no %s of the server's own accord", async (_what, tail) => {
  const { guest, server } = converse();
  guest.say(GET);
  await server.hears("\r\n\r\n");
  server.say(OK + tail);
  expect(await guest.over()).toBe(OK);
});

test("a response in chunks that break is cut off, without the chunk that would end it", async () => {
  const { guest, server, exchanges } = converse();
  guest.say(GET);
  await server.hears("\r\n\r\n");
  server.say(head("HTTP/1.1 200 OK", "Transfer-Encoding: chunked") + "2\r\nhi\r\n");
  await guest.hears("hi");
  server.say("zz\r\nforged");
  const heard = await guest.over();
  expect(heard).not.toContain("forged");
  expect(heard).toEndWith("hi\r\n");
  expect(exchanges).toMatchObject([{ status: 200, refused: { reason: "upstream-malformed" } }]);
});

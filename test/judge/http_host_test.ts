import { describe, expect, test } from "bun:test";
import { type HostParse, parseHttpHost } from "../../lib/judge/http_host.ts";
import { mutate } from "../support/mutate.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const GET = "GET / HTTP/1.1\r\n";

/** As curl, git and Python's http.client send them, and a proxy's client. */
const REQUESTS = [
  `${GET}Host: api.allowed.test\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n`,
  "GET /x.git/info/refs?service=git-upload-pack HTTP/1.1\r\nHost: api.allowed.test\r\n" +
  "User-Agent: git/2.39.5\r\nAccept: */*\r\nPragma: no-cache\r\nGit-Protocol: version=2\r\n\r\n",
  "POST / HTTP/1.1\r\nHost: api.allowed.test:8080\r\nAccept-Encoding: identity\r\n" +
  "Content-Length: 3\r\n\r\na=1",
  "GET http://api.allowed.test/ HTTP/1.1\r\nHost: api.allowed.test\r\nConnection: close\r\n\r\n",
];

describe("parseHttpHost()", () => {
  test.each(REQUESTS)("reads the request %#", (request) => {
    expect(parseHttpHost(bytes(request))).toMatchObject({ kind: "http", host: "api.allowed.test" });
  });

  test.each<[string, string, string | null]>([
    ["capitals", `${GET}Host: API.allowed.test\r\n\r\n`, "api.allowed.test"],
    ["a port and a space", `${GET}host:a.test:8080 \r\n\r\n`, "a.test"],
    ["bare line feeds", "GET / HTTP/1.1\nHost: a.test\n\n", "a.test"],
    ["empty lines before the request", `\r\n\n${GET}Host: a.test\r\n\r\n`, "a.test"],
    ["a method nobody knows", "get / HTTP/1.0\r\nHost: a.test\r\n\r\n", "a.test"],
    ["CONNECT", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", "a.test"],
    ["a body that looks like a head", `${GET}Host: a.test\r\n\r\nHost: b.test\r\n\r\n`, "a.test"],
    ["an address", `${GET}Host: 10.0.0.1\r\n\r\n`, null],
    ["an IPv6 address", `${GET}Host: [::1]:80\r\n\r\n`, null],
    ["an empty host", `${GET}Host:\r\n\r\n`, null],
    ["no host", `${GET}X: y\r\n\r\n`, null],
    ["no fields at all", `${GET}\r\n`, null],
  ])("reads %s", (_what, text, host) => {
    expect(parseHttpHost(bytes(text))).toMatchObject({ kind: "http", host });
  });

  test("tells what is asked of a proxy from what is asked of a server", () => {
    const isProxied = REQUESTS.map((request) => {
      const parsed = parseHttpHost(bytes(request));
      return parsed.kind === "http" && parsed.proxied === true;
    });
    expect(isProxied).toEqual([false, false, false, true]);
  });

  test.each<[string, string]>([
    ["two hosts", `${GET}Host: a.test\r\nHost: b.test\r\n\r\n`],
    ["the same host twice", `${GET}Host: a.test\r\nHost: a.test\r\n\r\n`],
    ["a target for another host", "GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["CONNECT to another host", "CONNECT b.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["a name beside an address", "GET http://10.0.0.1/ HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["user information", `${GET}Host: a@b.test\r\n\r\n`],
    ["two names in one field", `${GET}Host: a.test, b.test\r\n\r\n`],
    ["a folded line", `${GET}X: y\r\n Host: b.test\r\n\r\n`],
    ["a folded host", `${GET}Host: a.test\r\n\tb.test\r\n\r\n`],
    ["a space before the colon", `${GET}Host : b.test\r\n\r\n`],
    ["a bare line feed among CRLF", `${GET}X: y\nHost: b.test\r\n\r\n`],
    ["a head that ends early for some", `${GET}X: y\n\nHost: b.test\r\n\r\n`],
    ["a bare carriage return", `${GET}X: y\rHost: b.test\r\n\r\n`],
    ["a NUL", `${GET}X: y\0\r\nHost: a.test\r\n\r\n`],
    ["an address that only some read as one", `${GET}Host: 127.1\r\n\r\n`],
    ["spaces in the request line", "GET  /  HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["a version nobody speaks", "GET / HTTP/3.0\r\nHost: a.test\r\n\r\n"],
    ["HTTP/0.9 with a host in its target", "GET http://b.test/\r\n"],
    ["HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["an endless head", GET + `X: ${"y".repeat(40_000)}`],
    ["an endless request line", `GET /${"y".repeat(40_000)}`],
    ["nothing but empty lines", "\r\n".repeat(20_000)],
  ])("takes no name from %s", (_what, text) => {
    expect(parseHttpHost(bytes(text)).kind).toBe("invalid");
  });

  test("waits for the end of the head, byte by byte", () => {
    for (const request of REQUESTS) {
      const head = request.slice(0, request.indexOf("\r\n\r\n") + 4);
      for (let at = 0; at < head.length; at++) {
        expect(parseHttpHost(bytes(head.slice(0, at))).kind).toBe("partial");
      }
    }
  });

  test("survives 20,000 mutations without throwing", () => {
    const kinds = new Set<HostParse["kind"]>();
    const others = ["SSH-2.0-OpenSSH_9.2p1\r\n", "NICK somebody\r\n", "AMQP\0\0\t\x01"];
    mutate([...REQUESTS, ...others].map(bytes), 20_000, (sample) => {
      const parsed = parseHttpHost(sample);
      kinds.add(parsed.kind);
      if (parsed.kind === "http" && parsed.host !== null) {
        expect(parsed.host).toMatch(/^[a-z0-9_.-]+$/);
      }
    });
    expect(kinds).toEqual(new Set(["http", "invalid", "partial", "open", "not-http"]));
  });
});

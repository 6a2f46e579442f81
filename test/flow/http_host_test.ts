import { describe, expect, test } from "bun:test";
import { type HostParse, parseHttpHost } from "../../lib/flow/http_host.ts";
import { mutate } from "../support/mutate.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const GET = "GET / HTTP/1.1\r\n";

describe("parseHttpHost()", () => {
  test.each<[string, string, HostParse]>([
    ["a host", `${GET}Host: API.allowed.test\r\n\r\n`, { kind: "http", host: "api.allowed.test" }],
    ["a host with a port", `${GET}host:a.test:8080 \r\n\r\n`, { kind: "http", host: "a.test" }],
    ["bare line feeds", "GET / HTTP/1.1\nHost: a.test\n\n", { kind: "http", host: "a.test" }],
    ["an address", `${GET}Host: 10.0.0.1\r\n\r\n`, { kind: "http", host: null }],
    ["an IPv6 address", `${GET}Host: [::1]:80\r\n\r\n`, { kind: "http", host: null }],
    ["no host", `${GET}X: y\r\n\r\n`, { kind: "http", host: null }],
    ["an absolute target", "GET http://a.test/x HTTP/1.1\r\nHost: a.test\r\n\r\n", {
      kind: "http",
      host: "a.test",
    }],
  ])("reads %s", (_what, text, want) => {
    expect(parseHttpHost(bytes(text))).toEqual(want);
  });

  test.each([
    ["two hosts", `${GET}Host: a.test\r\nHost: b.test\r\n\r\n`],
    ["a target for another host", "GET http://b.test/ HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["CONNECT to another host", "CONNECT b.test:443 HTTP/1.1\r\nHost: a.test\r\n\r\n"],
    ["user information", `${GET}Host: a@b.test\r\n\r\n`],
    ["HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"],
    ["an endless head", GET + `X: ${"y".repeat(40_000)}`],
  ])("takes no name from %s", (_what: string, text: string) => {
    expect(parseHttpHost(bytes(text)).kind).toBe("invalid");
  });

  test("waits for the end of the head, and knows what is not HTTP", () => {
    expect(parseHttpHost(bytes(`${GET}Host: a.test\r\n`)).kind).toBe("partial");
    expect(parseHttpHost(bytes("GET /")).kind).toBe("partial");
    expect(parseHttpHost(bytes("SSH-2.0-OpenSSH\r\n")).kind).toBe("not-http");
  });

  test("survives 20,000 mutations without throwing", () => {
    const corpus = [`${GET}Host: a.test:80\r\nX: y\r\n\r\n`, "GET http://a.test/ HTTP/1.0\n\n"];
    mutate(corpus.map(bytes), 20_000, (sample) => void parseHttpHost(sample));
  });
});

import { describe, expect, test } from "bun:test";
import { formatAuthority, isFor, parseAuthority } from "../../lib/http/authority.ts";

describe("parseAuthority()", () => {
  test.each<[text: string, host: string, port: number | null]>([
    ["api.allowed.test", "api.allowed.test", null],
    ["API.Allowed.TEST.", "api.allowed.test", null],
    ["api.allowed.test:443", "api.allowed.test", 443],
    ["localhost", "localhost", null],
    ["93.184.216.34:8443", "93.184.216.34", 8443],
    ["[2606:2800:220::34]", "2606:2800:220::34", null],
    ["[2606:2800:0220:0::34]:443", "2606:2800:220::34", 443],
  ])("reads %s", (text, host, port) => {
    expect(parseAuthority(text)).toEqual(port === null ? { host } : { host, port });
  });

  test.each([
    "",
    ":443",
    "a.test:",
    "a.test:0",
    "a.test:65536",
    "a.test:+443",
    "a.test:443:443",
    "user@a.test",
    "a.test@evil.test",
    "a.test, evil.test",
    "a.test evil.test",
    "a.test/",
    "a.test\\evil.test",
    "a.test?",
    "a.test#",
    "*.a.test",
    "a..test",
    "bücher.test",
    "0x7f.1",
    "127.1",
    "::1",
    "[::1",
    "[::1]x",
    "[a.test]",
    "[1.2.3.4]",
    "[fe80::1%25eth0]",
  ])("refuses %j", (text) => {
    expect(parseAuthority(text)).toBeNull();
  });
});

test("formatAuthority() writes what parseAuthority() reads", () => {
  for (const text of ["a.test", "a.test:443", "1.2.3.4:80", "[::2]", "[::2]:443"]) {
    const authority = parseAuthority(text);
    expect(authority === null ? null : formatAuthority(authority)).toBe(text);
  }
});

describe("isFor()", () => {
  const destination = { host: "a.test", port: 8443 };
  test.each<[stated: string, verdict: boolean]>([
    ["a.test", true], // clients leave out what they think is the default
    ["a.test:8443", true],
    ["a.test:443", false],
    ["b.test", false],
    ["x.a.test", false],
  ])("a connection to a.test:8443 carries a request for %s: %p", (stated, verdict) => {
    const authority = parseAuthority(stated);
    expect(authority !== null && isFor(destination, authority)).toBe(verdict);
  });

  test("a connection to nobody in particular carries any name, on its port", () => {
    expect(isFor({ host: null, port: 80 }, { host: "b.test" })).toBe(true);
    expect(isFor({ host: null, port: 80 }, { host: "b.test", port: 81 })).toBe(false);
  });
});

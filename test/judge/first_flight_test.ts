/**
 * The vectors that netstack is held to as well: what the first bytes of a flow are, byte by byte, and what they
 * mean in the end.
 */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { FlightReader } from "../../lib/judge/flight_reader.ts";
import { readHello } from "../../lib/judge/hello.ts";
import { parseHttpHost } from "../../lib/judge/http_host.ts";
import { RequestReader, type RequestState } from "../../lib/judge/request_reader.ts";
import { statedName } from "../../lib/judge/stated_name.ts";
import file from "../vectors/first_flights.json" with { type: "json" };

interface Vector {
  readonly what: string;
  readonly bytes: Uint8Array;
  readonly states: Readonly<Record<string, string>>;
  readonly means: string;
}

const vectors: readonly Vector[] = file.map(({ text, bytes, states, ...vector }) => ({
  ...vector,
  states: Object.fromEntries(Object.entries(states)),
  bytes: text === undefined ? Buffer.from(bytes, "base64") : Buffer.from(text, "latin1"),
}));

function stateOf(bytes: Uint8Array): RequestState {
  const tls = readHello(bytes);
  if (tls.kind === "partial") return "partial";
  if (tls.kind !== "not-tls") return "whole";
  const http = parseHttpHost(bytes);
  if (http.kind === "not-http") return "opaque";
  return http.kind === "partial" || http.kind === "open" ? http.kind : "whole";
}

function meaningOf(bytes: Uint8Array): string {
  const tls = readHello(bytes);
  if (tls.kind === "hello") return `tls ${tls.hello.sni ?? "-"}`;
  if (tls.kind !== "not-tls") return tls.kind;
  const http = parseHttpHost(bytes);
  if (http.kind !== "http") return http.kind;
  return `${http.proxied === true ? "proxied" : "http"} ${http.host ?? "-"}`;
}

describe("the first bytes of a flow", () => {
  test.each(vectors)("that are $what", ({ bytes, states, means }) => {
    let want: string | undefined;
    for (let length = 0; length <= bytes.length; length++) {
      want = states[length] ?? want;
      const got = stateOf(bytes.subarray(0, length));
      if (got !== want) expect(`${length} bytes: ${got}`).toBe(`${length} bytes: ${want}`);
    }
    expect(meaningOf(bytes)).toBe(means);
  });

  // As netstack's reader reads those of flows.
  test("in a tunnel are read byte by byte as they are in one piece", () => {
    for (const { bytes, states, what } of vectors) {
      const reader = new FlightReader();
      let want = states[0] ?? "";
      bytes.forEach((_, at) => {
        want = states[at + 1] ?? want;
        const got: string = reader.push(bytes.subarray(at, at + 1));
        expect([what, at, got]).toEqual([what, at, want]);
      });
      const whole: string = new FlightReader().push(bytes);
      expect([what, whole]).toEqual([what, want]);
    }
  });

  test("are read the same however they are cut", () => {
    for (const { bytes } of vectors) {
      const whole = new RequestReader().push(bytes);
      for (let at = 1; at < bytes.length; at++) {
        const reader = new RequestReader();
        reader.push(bytes.subarray(0, at));
        if (reader.push(bytes.subarray(at)) !== whole) expect([bytes, at]).toEqual([]);
      }
    }
  });

  test("that are not ours stay so, whatever follows", () => {
    const tails = ["\r\nHost: evil.test\r\n\r\n", " / HTTP/1.1\r\nHost: evil.test\r\n\r\n", "\n\n"];
    let tried = 0;
    for (const { bytes, states } of vectors) {
      const settled = Object.entries(states).find(([, state]) => state === "opaque");
      if (settled === undefined) continue;
      const head = bytes.subarray(0, Number(settled[0]));
      const others = vectors.map((other) => other.bytes);
      for (const tail of [...tails.map((text) => Buffer.from(text)), ...others]) {
        expect(stateOf(Buffer.concat([head, tail]))).toBe("opaque");
        tried++;
      }
    }
    expect(tried).toBeGreaterThan(1_000);
  });

  test("state no name when they end, and are refused when a name could be under way", () => {
    const none = Buffer.from("\0\0\0\b\x04\xd2\x16/", "latin1");
    const begun = ["GET /", "GET / HTTP/1.1\r\nHost: a.test\r\n", " ", "\x16\x03\x01"];
    for (const end of ["complete", "timeout", "eof", "full"] as const) {
      for (const text of begun) {
        expect(statedName(Buffer.from(text, "latin1"), end).kind).toBe("invalid");
      }
      expect(statedName(none, end).kind).toBe(end === "full" ? "invalid" : "none");
    }
  });
});

/** How the cost of `work` grows when its input doubles: the best of several tries. */
function growth(input: (size: number) => Uint8Array, work: (bytes: Uint8Array) => void): number {
  const cost = (bytes: Uint8Array) => {
    const start = performance.now();
    for (let round = 0; round < 20; round++) work(bytes);
    return performance.now() - start;
  };
  const [small, large] = [input(8_000), input(16_000)];
  work(large);
  const tries = Array.from({ length: 7 }, () => cost(large) / cost(small));
  return Math.min(...tries);
}

test.each<[string, (size: number) => string]>([
  ["blanks before a bare CR", (n) => `GET / HTTP/1.1\r\nX: y${" ".repeat(n)}\rz\r\n\r\n`],
  ["blanks in a value", (n) => `GET / HTTP/1.1\r\nX: y${" ".repeat(n)}z\r\n\r\n`],
  ["blanks before a value", (n) => `GET / HTTP/1.1\r\nX:${" ".repeat(n)}\r\n\r\n`],
  ["many fields", (n) => `GET / HTTP/1.1\r\n${"a:\r\n".repeat(n / 4)}\r\n`],
  ["many Hosts", (n) => `GET / HTTP/1.1\r\n${"host:\r\n".repeat(n / 7)}\r\n`],
  ["empty lines", (n) => `${"\r\n".repeat(n / 2)}GET / HTTP/1.1\r\nHost: a.test\r\n\r\n`],
  ["spaces in the line", (n) => `GET${" ".repeat(n)}/ HTTP/1.1\r\n\r\n`],
  ["a long target", (n) => `GET ${"h".repeat(n)}:// HTTP/1.1\r\n\r\n`],
  ["a long host", (n) => `GET / HTTP/1.1\r\nHost: ${"a.".repeat(n / 2)}\r\n\r\n`],
  ["a long address", (n) => `GET / HTTP/1.1\r\nHost: [${":".repeat(n)}]\r\n\r\n`],
  ["a long port", (n) => `GET / HTTP/1.1\r\nHost: a:${"1".repeat(n)}\r\n\r\n`],
  ["H upon H", (n) => `GET ${"H".repeat(n)}\r\n\r\n`],
])("a head costs no more than its length: %s", (_what, text) => {
  const input = (size: number) => Buffer.from(text(size), "latin1");
  expect(growth(input, (bytes) => void parseHttpHost(bytes))).toBeLessThan(3);
});

test("a hello costs no more than its length", () => {
  const inRecords = (size: number) => {
    const record = [22, 3, 1, 0, 1];
    const message = [1, 0, 0x70, 0, ...new Array<number>(Math.floor(size / 6)).fill(0)];
    return Uint8Array.from(message.flatMap((byte) => [...record, byte]));
  };
  expect(growth(inRecords, (bytes) => void readHello(bytes))).toBeLessThan(3);
});

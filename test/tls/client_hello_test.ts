import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { type ClientHello, parseClientHello } from "../../lib/tls/client_hello.ts";
import { mutate } from "../support/mutate.ts";
import vectors from "../vectors/client_hellos.json" with { type: "json" };

interface Capture {
  readonly client: string;
  readonly hello: Omit<ClientHello, "ciphers">;
  readonly bytes: Uint8Array;
}

const captures: readonly Capture[] = vectors.map(({ client, hello, bytes }) => ({
  client,
  hello,
  bytes: Buffer.from(bytes, "base64"),
}));

/** The same handshake message in records of at most `size` bytes. */
function inRecords(hello: Uint8Array, size: number): Uint8Array {
  const body = hello.subarray(5);
  const parts: number[] = [];
  for (let at = 0; at < body.length; at += size) {
    const part = body.subarray(at, at + size);
    parts.push(0x16, 3, 1, part.length >> 8, part.length & 0xff, ...part);
  }
  return Uint8Array.from(parts);
}

const u16 = (n: number) => [n >> 8, n & 0xff];

/** A minimal hello with these extensions, given as [type, data]. */
function build(...extensions: [number, number[]][]): Uint8Array {
  const list = extensions.flatMap(([type, data]) => [...u16(type), ...u16(data.length), ...data]);
  const random = new Array<number>(32).fill(7);
  const fields = [3, 3, ...random, 0, 0, 2, 0x13, 1, 1, 0];
  const body = [...fields, ...u16(list.length), ...list];
  const message = [1, 0, ...u16(body.length), ...body];
  return Uint8Array.from([0x16, 3, 1, ...u16(message.length), ...message]);
}

function serverName(...names: string[]): [number, number[]] {
  const entries = names.flatMap((name) => {
    const bytes = [...new TextEncoder().encode(name)];
    return [0, ...u16(bytes.length), ...bytes];
  });
  return [0, [...u16(entries.length), ...entries]];
}

const PADDING: [number, number[]] = [21, new Array<number>(17_000).fill(0)];

describe("parseClientHello()", () => {
  test.each(captures)("reads what $client says", ({ bytes, hello }) => {
    expect(parseClientHello(bytes)).toMatchObject({ kind: "hello", hello });
  });

  test("reads a hello that is split over records at any byte", () => {
    for (const { bytes, hello } of captures) {
      for (const size of [1, 2, 5, 63, 500]) {
        expect(parseClientHello(inRecords(bytes, size))).toMatchObject({ kind: "hello", hello });
      }
    }
  });

  test("waits for the rest of a hello, byte by byte", () => {
    for (const { bytes } of captures) {
      const split = inRecords(bytes, 100);
      for (let at = 0; at < split.length; at++) {
        expect(parseClientHello(split.subarray(0, at)).kind).toBe("partial");
      }
    }
  });

  test("ignores what comes after the hello", () => {
    const early = Uint8Array.of(0x17, 3, 3, 0, 1, 42);
    for (const { bytes, hello } of captures) {
      expect(parseClientHello(Buffer.concat([bytes, early]))).toMatchObject({
        kind: "hello",
        hello,
      });
    }
  });

  test.each<[string, Uint8Array, Partial<ClientHello>]>([
    ["no server_name", build(), { sni: null }],
    ["two versions and one suite", build([43, [4, 3, 4, 3, 3]]), {
      versions: [0x0304, 0x0303],
      ciphers: [0x1301],
    }],
    ["a trailing dot", build(serverName("api.allowed.test.")), { sni: "api.allowed.test" }],
    ["capitals", build(serverName("API.Allowed.TEST")), { sni: "api.allowed.test" }],
    ["17 kB of padding", inRecords(build(serverName("a.test"), PADDING), 16_000), {
      sni: "a.test",
    }],
    ["ECH beside an outer name", build(serverName("public.test"), [0xfe0d, [0]]), {
      sni: "public.test",
    }],
  ])("accepts %s", (_what, bytes, want) => {
    expect(parseClientHello(bytes)).toMatchObject({ kind: "hello", hello: want });
  });

  test.each<[string, Uint8Array]>([
    ["two server_name extensions", build(serverName("a.test"), serverName("b.test"))],
    ["the same extension twice", build([16, [0, 3, 2, 104, 50]], [16, [0, 3, 2, 104, 50]])],
    ["two names in the list", build(serverName("a.test", "b.test"))],
    ["an empty list", build([0, [0, 0]])],
    ["an empty name", build(serverName(""))],
    ["a wildcard", build(serverName("*.allowed.test"))],
    ["an address", build(serverName("1.2.3.4"))],
    ["an address in hexadecimal", build(serverName("0x7f.1"))],
    ["a NUL", build(serverName("a.test\0.evil.test"))],
    ["a space", build(serverName("a b.test"))],
    ["UTF-8", build(serverName("bücher.test"))],
    ["300 bytes", build(serverName(`${"a".repeat(300)}.test`))],
    ["another type of name", build([0, [0, 5, 1, 0, 2, 97, 98]])],
    ["a length past the end", build([0, [0, 200, 0, 0, 3, 97]])],
    ["an alert before the hello", Uint8Array.of(21, 3, 1, 0, 2, 1, 90, ...build())],
    ["a change_cipher_spec before the hello", Uint8Array.of(20, 3, 3, 0, 1, 1, ...build())],
    ["an alert inside the hello", Uint8Array.of(22, 3, 1, 0, 1, 1, 21, 3, 1, 0, 2, 1, 90)],
    ["an empty record", Uint8Array.of(22, 3, 1, 0, 0)],
    ["another handshake message", Uint8Array.of(22, 3, 3, 0, 4, 2, 0, 0, 0)],
  ])("takes no name from %s", (_what, bytes) => {
    expect(parseClientHello(bytes).kind).toBe("invalid");
  });

  test("knows what is not TLS", () => {
    expect(parseClientHello(new TextEncoder().encode("SSH-2.0-x\r\n")).kind).toBe("not-tls");
    expect(parseClientHello(Uint8Array.of(0x80, 46, 1, 3, 1)).kind).toBe("invalid"); // SSLv2
    expect(parseClientHello(Uint8Array.of(0x16, 9, 9)).kind).toBe("partial");
    expect(parseClientHello(new Uint8Array()).kind).toBe("partial");
  });

  test("survives 50,000 mutations without throwing", () => {
    const corpus = captures.flatMap(({ bytes }) => [bytes, inRecords(bytes, 40)]);
    mutate(corpus, 50_000, (sample) => {
      const parsed = parseClientHello(sample);
      if (parsed.kind === "hello" && parsed.hello.sni !== null) {
        expect(parsed.hello.sni).toMatch(/^[a-z0-9_.-]+$/);
      }
    });
  });
});

import { beforeAll, describe, expect, test } from "bun:test";
import { createServer } from "node:net";
import { connect } from "node:tls";
import { parseClientHello } from "../../lib/flow/client_hello.ts";
import { mutate } from "../support/mutate.ts";

/** What a real client says first. */
function capture(servername: string | undefined, alpn: string[]): Promise<Uint8Array> {
  return new Promise((resolve) => {
    const server = createServer((socket) => {
      socket.once("data", (bytes: Uint8Array) => {
        resolve(bytes);
        socket.destroy();
        server.close();
      });
    });
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      const options = servername === undefined ? {} : { servername };
      connect({ port, host: "127.0.0.1", ALPNProtocols: alpn, ...options }).on("error", () => {});
    });
  });
}

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

/** A minimal hello with these extensions, given as [type, data]. */
function build(...extensions: [number, number[]][]): Uint8Array {
  const u16 = (n: number) => [n >> 8, n & 0xff];
  const list = extensions.flatMap(([type, data]) => [...u16(type), ...u16(data.length), ...data]);
  const body = [
    3,
    3,
    ...new Array(32).fill(7),
    0,
    0,
    2,
    0x13,
    1,
    1,
    0,
    ...u16(list.length),
    ...list,
  ];
  const message = [1, 0, ...u16(body.length), ...body];
  return Uint8Array.from([0x16, 3, 1, ...u16(message.length), ...message]);
}

function serverName(...names: string[]): [number, number[]] {
  const entries = names.flatMap((name) => {
    const bytes = [...new TextEncoder().encode(name)];
    return [0, bytes.length >> 8, bytes.length & 0xff, ...bytes];
  });
  return [0, [entries.length >> 8, entries.length & 0xff, ...entries]];
}

let hello: Uint8Array;
beforeAll(async () => {
  hello = await capture("API.Allowed.test", ["h2", "http/1.1"]);
});

describe("parseClientHello()", () => {
  test("reads name and protocols of a real client, canonical", () => {
    expect(parseClientHello(hello)).toEqual({
      kind: "hello",
      hello: { sni: "api.allowed.test", alpn: ["h2", "http/1.1"], ech: expect.any(Boolean) },
    });
  });

  test("reads a hello that is split over records at any byte", () => {
    for (const size of [1, 2, 5, 63, 500]) {
      expect(parseClientHello(inRecords(hello, size))).toMatchObject({
        hello: { sni: "api.allowed.test" },
      });
    }
  });

  test("waits for the rest of a hello, byte by byte", () => {
    const split = inRecords(hello, 100);
    for (let at = 0; at < split.length; at++) {
      expect(parseClientHello(split.subarray(0, at)).kind).toBe("partial");
    }
  });

  test.each([
    ["no server_name", build(), { sni: null }],
    ["a trailing dot", build(serverName("api.allowed.test.")), { sni: "api.allowed.test" }],
    ["ECH beside an outer name", build(serverName("public.test"), [0xfe0d, [0]]), {
      sni: "public.test",
      ech: true,
    }],
  ])("accepts %s", (_what: string, bytes: Uint8Array, want: object) => {
    expect(parseClientHello(bytes)).toMatchObject({ kind: "hello", hello: want });
  });

  test.each([
    ["two server_name extensions", build(serverName("a.test"), serverName("b.test"))],
    ["two names in the list", build(serverName("a.test", "b.test"))],
    ["an empty name", build(serverName(""))],
    ["a wildcard", build(serverName("*.allowed.test"))],
    ["an address", build(serverName("1.2.3.4"))],
    ["a NUL", build(serverName("a.test\0.evil.test"))],
    ["a space", build(serverName("a b.test"))],
    ["UTF-8", build(serverName("bücher.test"))],
    ["300 bytes", build(serverName(`${"a".repeat(300)}.test`))],
    ["a length past the end", build([0, [0, 200, 0, 0, 3, 97]])],
  ])("takes no name from %s", (_what: string, bytes: Uint8Array) => {
    expect(parseClientHello(bytes).kind).toBe("invalid");
  });

  test("knows what is not TLS", () => {
    expect(parseClientHello(new TextEncoder().encode("SSH-2.0-x\r\n")).kind).toBe("not-tls");
    expect(parseClientHello(new Uint8Array()).kind).toBe("partial");
  });

  test("survives 50,000 mutations without throwing", () => {
    mutate([hello, inRecords(hello, 40), build(serverName("a.test"))], 50_000, (sample) => {
      parseClientHello(sample);
    });
  });
});

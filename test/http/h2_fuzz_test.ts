/**
 * The HTTP/2 relay under random cuts and random damage, and its compression against another one's.
 */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { once } from "node:events";
import * as http2 from "node:http2";
import type { Duplex } from "node:stream";
import { HTTP_LIMITS } from "../../lib/http/exchange.ts";
import type { Field } from "../../lib/http/fields.ts";
import { judging } from "../../lib/http/gate.ts";
import { HpackDecoder } from "../../lib/http/hpack/decoder.ts";
import { HpackEncoder } from "../../lib/http/hpack/encoder.ts";
import { decodeHuffman } from "../../lib/http/hpack/huffman.ts";
import { MalformedHttp } from "../../lib/http/malformed.ts";
import { relay } from "../../lib/http/relay.ts";
import { mutate } from "../support/mutate.ts";
import { GET, POST, silent } from "./h2_conversation.ts";
import { H2Peer, settle } from "./h2_peer.ts";
import { pair } from "./pair.ts";

const hex = (text: string) => Buffer.from(text.replaceAll(" ", ""), "hex");
const listed = (fields: readonly Field[] | null) =>
  fields?.map(({ key, value }) => `${key}: ${value}`);

describe("HPACK", () => {
  test("reads the requests of RFC 7541 C.4, whose table grows", () => {
    const decoder = new HpackDecoder(HTTP_LIMITS, 4096);
    const first = [":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"];
    expect(listed(decoder.decode(hex("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff")))).toEqual(
      first,
    );
    expect(listed(decoder.decode(hex("8286 84be 5886 a8eb 1064 9cbf")))).toEqual([
      ...first,
      "cache-control: no-cache",
    ]);
  });

  test("reads the responses of RFC 7541 C.6, whose table is full", () => {
    const decoder = new HpackDecoder(HTTP_LIMITS, 256);
    const blocks = [
      "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff6e " +
      "919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3",
      "4883 640e ffc1 c0bf",
      "88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab 77ad 94e7 " +
      "821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f 9587 3160 65c0 03ed " +
      "4ee5 b106 3d50 07",
    ].map((block) => listed(decoder.decode(hex(block))) ?? []);
    expect(blocks.map(([status]) => status)).toEqual([
      ":status: 302",
      ":status: 307",
      ":status: 200",
    ]);
    expect(blocks[2]?.at(-1)).toBe(
      "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1",
    );
  });

  test("writes what it reads, whatever becomes of the table", () => {
    const encoder = new HpackEncoder();
    const decoder = new HpackDecoder(HTTP_LIMITS, 4096);
    let state = 1;
    const below = (limit: number) => (state = Math.imul(state, 48271) >>> 0) % limit;
    const keys = ["a", "accept", ":path", "authorization", "x-1", "x-2", "x-3", "set-cookie"];
    for (let n = 0; n < 5_000; n++) {
      if (n % 97 === 0) encoder.setLimit([0, 100, 4096, 1000][below(4)] ?? 0);
      const fields = Array.from({ length: 1 + below(12) }, () => {
        const key = keys[below(keys.length)] ?? "";
        return { name: key, key, value: "v".repeat(below(300)) + below(5) };
      });
      expect(listed(decoder.decode(encoder.encode(fields)))).toEqual(listed(fields));
    }
  }, 30_000);

  test("lets nothing but its own error escape from 50,000 mutations", () => {
    const encoder = new HpackEncoder();
    const corpus = [
      encoder.encode(Object.entries(GET).map(([key, value]) => ({ name: key, key, value }))),
      hex("8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff"),
      hex(
        "4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6 2d1b ff",
      ),
    ];
    mutate(corpus, 50_000, (sample) => {
      try {
        new HpackDecoder(HTTP_LIMITS, 4096).decode(Buffer.from(sample));
        decodeHuffman(Buffer.from(sample));
      } catch (error) {
        if (!(error instanceof MalformedHttp)) throw error;
      }
    });
  }, 30_000);
});

/** A client's connection with some of everything, as bytes. */
async function recorded(): Promise<Buffer> {
  const [end, other] = pair();
  const chunks: Buffer[] = [];
  other.on("data", (chunk: Buffer) => chunks.push(chunk));
  const client = new H2Peer(end, "client");
  client.greet("client", [[3, 100], [4, 1 << 20]]);
  client.headers(1, { ...GET, accept: "*/*", cookie: "a=b" });
  client.headers(3, { ...POST, "content-length": "10" }, false);
  client.data(3, "01234");
  client.credit(0, 70_000);
  client.ping("12345678");
  client.data(3, "56789", true);
  client.headers(5, { ...POST, te: "trailers" }, false);
  client.data(5, "x".repeat(20_000));
  client.headers(5, { "x-sum": "1" });
  client.headers(7, GET, false);
  client.reset(7, 8);
  end.end();
  await once(other, "end");
  return Buffer.concat(chunks);
}

test("however the bytes are cut, the server hears the same", async () => {
  const bytes = await recorded();
  const hear = async (size: number) => {
    const { guest, server } = silent();
    server.greet("server");
    await server.hears("settings");
    for (let at = 0; at < bytes.length; at += size) {
      guest.raw(bytes.subarray(at, at + size));
      if (at % (97 * size) === 0) await settle();
    }
    await server.hears("reset");
    await server.hears("headers", ({ stream, end }) => stream === 5 && end);
    const content = new Map<number, string>();
    const rest = server.heard.filter((one) => {
      if (one.type !== "data") return one.type === "headers" || one.type === "reset";
      content.set(one.stream, (content.get(one.stream) ?? "") + one.text);
      return false;
    });
    guest.stream.destroy();
    // Streams move in turns, so only the order within each is fixed.
    const byStream = [1, 3, 5, 7].map((id) =>
      rest.filter((one) => "stream" in one && one.stream === id)
    );
    return { byStream, content: [...content].sort() };
  };
  const whole = await hear(bytes.length);
  expect(whole.content.map(([, text]) => text.length)).toEqual([10, 20_000]);
  for (const size of [1, 2, 3, 9, 10, 100, 1_000]) expect(await hear(size)).toEqual(whole);
}, 60_000);

/** A server of Bun's, which reads what the relay sends on. */
function oracle(connection: Duplex, read: (request: string) => void) {
  const server = http2.createServer();
  server.on("stream", (stream: http2.ServerHttp2Stream, headers) => {
    read(`${headers[":method"]} ${headers[":authority"]} ${headers[":path"]?.split("?")[0]}`);
    stream.on("error", () => {});
    stream.resume();
    stream.respond({ ":status": 200 });
    stream.end("ok");
  });
  server.on("sessionError", () => {});
  server.emit("connection", connection);
}

test(
  "of 1,500 damaged connections a server reads exactly the requests that were judged",
  async () => {
    const bytes = await recorded();
    const samples: Uint8Array[] = [];
    // Behind the preface, which would hide everything else.
    mutate([bytes.subarray(24)], 1_500, (sample) => samples.push(sample));
    let requests = 0;
    for (const sample of samples) {
      const [guest, guestSide] = pair();
      const [serverSide, upstream] = pair();
      const judged: string[] = [];
      const read: string[] = [];
      oracle(serverSide, (request) => read.push(request));
      const closed = relay({
        guest: guestSide,
        upstream: { kind: "open", stream: upstream },
        protocol: "h2",
        destination: { scheme: "https", host: "api.allowed.test", port: 443 },
        gate: judging(({ method, host, path }) => {
          judged.push(`${method} ${host} ${path}`);
          return null;
        }),
        onExchange: () => {},
      });
      guest.on("error", () => {}).resume();
      guest.write(Buffer.concat([bytes.subarray(0, 24), sample]));
      await settle();
      guest.destroy();
      await closed;
      for (const request of read) expect(judged).toContain(request);
      expect(read.length).toBeLessThanOrEqual(judged.length);
      requests += read.length;
    }
    expect(requests).toBeGreaterThan(1_000); // else nothing was shown
  },
  120_000,
);

test("of 1,500 damaged answers a guest gets well-formed ones only", async () => {
  const [end, other] = pair();
  const chunks: Buffer[] = [];
  other.on("data", (chunk: Buffer) => chunks.push(chunk));
  const recorder = new H2Peer(end, "server");
  recorder.greet("server", [[3, 100]]);
  recorder.headers(1, { ":status": "103", link: "</a>" }, false);
  recorder.headers(1, { ":status": "200", "content-length": "5" }, false);
  recorder.data(1, "hello", true);
  recorder.headers(3, { ":status": "200", "set-cookie": "a=b" }, false);
  recorder.data(3, "x".repeat(2_000));
  recorder.headers(3, { "grpc-status": "0" });
  end.end();
  await once(other, "end");
  const samples: Uint8Array[] = [];
  mutate([Buffer.concat(chunks)], 1_500, (sample) => samples.push(sample));
  for (const sample of samples) {
    const { guest, server, closed } = silent();
    guest.greet("client");
    server.raw(frameOfSettings(), Buffer.from(sample));
    guest.headers(1, GET);
    guest.headers(3, GET);
    await settle();
    guest.stream.destroy();
    await closed;
    for (const one of guest.heard) {
      if (one.type !== "headers") continue;
      for (const [key, value] of Object.entries(one.fields)) {
        expect(key).toMatch(/^:?[!#$%&'*+\-.^_`|~0-9a-z]+$/);
        expect(value).toMatch(/^[\t\x20-\x7e\x80-\xff]*$/);
      }
    }
  }
}, 120_000);

function frameOfSettings(): Uint8Array {
  return Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0);
}

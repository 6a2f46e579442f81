/**
 * Readers of heads, bodies and frames: the same bytes have the same answer however they are cut, and cost no
 * more for it than their number.
 */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { HTTP_LIMITS } from "../../lib/http/exchange.ts";
import { bodyReader } from "../../lib/http/h1/body.ts";
import { HeadReader } from "../../lib/http/h1/head_reader.ts";
import { HeaderBlocks } from "../../lib/http/h2/blocks.ts";
import {
  encodePing,
  encodeSettings,
  Flag,
  frameHeader,
  FrameReader,
  FrameType,
  H2Error,
  PREFACE,
} from "../../lib/http/h2/frame.ts";
import { HpackDecoder } from "../../lib/http/hpack/decoder.ts";
import { HpackEncoder } from "../../lib/http/hpack/encoder.ts";
import { MalformedHttp } from "../../lib/http/malformed.ts";
import { mutate } from "../support/mutate.ts";
import { cut, random } from "../support/random.ts";

const LIMITS = { ...HTTP_LIMITS, headBytes: 200, headFields: 12 };

/** Everything that a reader made of the pieces, errors included. */
type Reading = (pieces: Iterable<Uint8Array>) => unknown;

function answer(step: () => unknown): unknown {
  try {
    return step();
  } catch (error) {
    if (error instanceof MalformedHttp) return `${error.reason}: ${error.message}`;
    if (error instanceof H2Error) return `code ${error.code}: ${error.message}`;
    throw error;
  }
}

/** Head after head, and the bytes of the one that is not whole yet. */
const heads = (forgiving: boolean): Reading => (pieces) => {
  const reader = new HeadReader(LIMITS.headBytes, forgiving);
  const read: unknown[] = [];
  const error = answer(() => {
    for (const piece of pieces) {
      let rest: Buffer = Buffer.from(piece);
      while (rest.length > 0) {
        const head = reader.push(rest);
        if (head === null) break;
        read.push(head.text);
        rest = head.rest;
      }
    }
    return reader.started;
  });
  return [read, error];
};

const chunks: Reading = (pieces) => {
  const reader = bodyReader({ kind: "chunked" }, LIMITS);
  let content = "";
  let used = 0;
  const error = answer(() => {
    for (const piece of pieces) {
      if (reader.done) break;
      const part = reader.read(Buffer.from(piece));
      used += part.used;
      content += Buffer.concat(part.content).toString("latin1");
    }
    return [used, reader.done, reader.trailers];
  });
  // What came before an error was passed on or not, as it was cut; the error is the answer.
  return typeof error === "string" ? error : [content, error];
};

const frames = (preface: boolean): Reading => (pieces) => {
  const reader = new FrameReader(preface);
  const read: unknown[] = [];
  const error = answer(() => {
    for (const piece of pieces) {
      for (const { type, flags, stream, payload } of reader.push(Buffer.from(piece))) {
        read.push([type, flags, stream, payload.toString("latin1")]);
      }
    }
  });
  return [read, error];
};

/** A header block over HEADERS and CONTINUATION frames, each piece one of them. */
const blocks: Reading = (pieces) => {
  const assembly = new HeaderBlocks(1 << 20);
  const decoder = new HpackDecoder(HTTP_LIMITS, 4096);
  const parts = [...pieces].map((piece) => Buffer.from(piece));
  return answer(() => {
    const begun = { stream: 1, end: true, dependency: null };
    let block = assembly.begin(
      begun,
      parts[0] ?? Buffer.alloc(0),
      parts.length > 1 ? 0 : Flag.EndHeaders,
    );
    parts.slice(1).forEach((part, index) => {
      block = assembly.go(part, index === parts.length - 2 ? Flag.EndHeaders : 0);
    });
    return block === null ? null : decoder.decode(block.bytes);
  });
};

const text = (...lines: string[]) => Buffer.from(lines.join("\r\n"), "latin1");
const GET = text("GET /a HTTP/1.1", "Host: a.test", "X: y", "", "");
const FRAMES = Buffer.concat([
  encodeSettings([[4, 70_000]]),
  encodePing(Buffer.alloc(8), false),
  frameHeader(FrameType.Data, 1, 1, 300),
  Buffer.alloc(300, "x"),
  frameHeader(FrameType.Data, 0, 3, 0),
]);
const BLOCK = new HpackEncoder().encode(
  [[":method", "GET"], [":path", "/a?b"], ["x-long", "v".repeat(90)], ["cookie", "a=b"]].map((
    [key = "", value = ""],
  ) => ({ name: key, key, value })),
);

describe("in any segmentation, the same bytes are", () => {
  test.each<[what: string, reading: Reading, corpus: Buffer[]]>([
    ["the same request heads", heads(true), [
      GET,
      Buffer.concat([text("", "", ""), GET, text("", "", "", ""), GET]),
      Buffer.concat([GET, text("\r\n", ""), GET, Buffer.from("\r")]),
      text("GET / HTTP/1.1", "X: " + "y".repeat(177), "", ""), // the longest that is allowed …
      text("GET / HTTP/1.1", "X: " + "y".repeat(185), "", ""), // … and about that
      Buffer.concat([text(...Array<string>(90).fill("")), GET]),
      Buffer.concat([text(...Array<string>(120).fill("")), GET]),
      Buffer.from("GET / HTTP/1.1\nHost: a.test\n\n"),
    ]],
    ["the same response heads", heads(false), [
      text("HTTP/1.1 200 OK", "X: y", "", ""),
      text("", "HTTP/1.1 200 OK", "", ""),
      text("HTTP/1.1 200 OK", "X: " + "y".repeat(190), "", ""),
    ]],
    ["the same chunked bodies", chunks, [
      text("4", "abcd", "10;x=y", "0123456789abcdef", "0", "X-Sum: 1", "", "GET / HTTP/1.1"),
      text("0", "", ""),
      text("1;" + "e".repeat(1030), "a", "0", "", ""),
      text("0", "X: " + "y".repeat(230), "", ""),
    ]],
    ["the same frames of a client", frames(true), [Buffer.concat([PREFACE, FRAMES])]],
    ["the same frames of a server", frames(false), [FRAMES]],
    ["the same header blocks", blocks, [BLOCK]],
  ])("%s", (_what, reading, corpus) => {
    const rng = random(7);
    const samples: Uint8Array[] = [...corpus];
    mutate(corpus, 1_500, (sample) => samples.push(sample));
    for (const sample of samples) {
      if (sample.length === 0) continue;
      const whole = reading([sample]);
      for (let time = 0; time < 4; time++) {
        const pieces = cut(sample, rng);
        expect(reading(pieces), Buffer.from(sample).toString("latin1")).toEqual(whole);
      }
    }
  }, 60_000);

  test("heads of every length around the limit, cut at every byte", () => {
    for (let length = 150; length < 230; length++) {
      const head = text("GET / HTTP/1.1", "X: " + "y".repeat(length), "", "");
      const whole = heads(true)([head]);
      expect(heads(true)([...head].map((byte) => Uint8Array.of(byte)))).toEqual(whole);
    }
  });
});

/** Bytes that are copied from one buffer to another meanwhile. */
function copied(work: () => void): number {
  let bytes = 0;
  const { concat } = Buffer;
  const { copy } = Buffer.prototype;
  Buffer.concat = ((list: Uint8Array[], total?: number) => {
    for (const { length } of list) bytes += length;
    return concat(list, total);
  }) as typeof concat;
  Buffer.prototype.copy = function (this: Buffer, ...args: Parameters<typeof copy>) {
    const count = copy.apply(this, args);
    bytes += count;
    return count;
  } as typeof copy;
  try {
    work();
  } finally {
    Buffer.concat = concat;
    Buffer.prototype.copy = copy;
  }
  return bytes;
}

describe("bytes that come one at a time are copied a fixed number of times:", () => {
  const single = (bytes: Buffer) => [...bytes].map((byte) => Buffer.of(byte));
  const frame = (length: number) =>
    Buffer.concat([frameHeader(FrameType.Data, 0, 1, length), Buffer.alloc(length)]);
  test.each<[what: string, work: (size: number) => () => void]>([
    ["a head", (size) => {
      const pieces = single(text("GET / HTTP/1.1", "X: " + "y".repeat(size), "", ""));
      return () => {
        const reader = new HeadReader(65_536, true);
        for (const piece of pieces) reader.push(piece);
      };
    }],
    ["a frame", (size) => {
      const pieces = single(frame(size));
      return () => {
        const reader = new FrameReader(false);
        for (const piece of pieces) for (const _ of reader.push(piece));
      };
    }],
    ["a header block in as many frames", (size) => {
      const pieces = single(Buffer.alloc(size));
      return () => {
        const assembly = new HeaderBlocks(1 << 20);
        const first = Buffer.alloc(1);
        assembly.begin({ stream: 1, end: true, dependency: null }, first, 0);
        for (const piece of pieces) assembly.go(piece, 0);
        assembly.go(first, Flag.EndHeaders);
      };
    }],
  ])("%s", (_what, work) => {
    const [once, twice] = [copied(work(8_000)), copied(work(16_000))];
    expect(once).toBeGreaterThan(0); // what is counted is what copies
    expect(twice).toBeLessThan(3 * once);
    expect(once).toBeLessThan(4 * 8_000);
  });
});

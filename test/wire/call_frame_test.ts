import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { SbxError } from "../../lib/base/errors.ts";
import { AGENT } from "../../lib/guest/agent/client.ts";
import {
  type CallFrame,
  CallFrameReader,
  CLIENT_BOUNDS,
  encodeCallFrame,
  Kind,
  MAX_DATA,
  type Peer,
} from "../../lib/wire/call_frame.ts";

interface Vector {
  readonly name: string;
  readonly from: "host" | "agent";
  readonly bytes: string;
  readonly frame: null | {
    readonly kind: Kind;
    readonly call: number;
    readonly stream: 0 | 1 | 2;
    readonly payload: string;
  };
}

const FILE = new URL("../vectors/call_frames.json", import.meta.url).pathname;
const VECTORS: readonly Vector[] = JSON.parse(readFileSync(FILE, "utf8")).cases;
const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));

const HOST: Peer = { name: "the host", sends: CLIENT_BOUNDS };

/** The frames of this peer in these chunks, their payloads kept. */
function readOf(peer: Peer, ...chunks: Uint8Array[]): CallFrame[] {
  const reader = new CallFrameReader(peer);
  return chunks.flatMap((
    chunk,
  ) => [...reader.push(chunk).map((frame) => ({ ...frame, payload: frame.payload.slice() }))]);
}

const read = (...chunks: Uint8Array[]) => readOf(AGENT, ...chunks);

const split = (bytes: Uint8Array) => [...bytes].map((byte) => Uint8Array.of(byte));

test("the reader takes the frames of its peer and refuses all others", () => {
  for (const { name, from, bytes, frame } of VECTORS) {
    const read = (...chunks: Uint8Array[]) => readOf(from === "agent" ? AGENT : HOST, ...chunks);
    for (const chunks of [[hex(bytes)], split(hex(bytes))]) {
      if (frame === null) {
        expect(() => read(...chunks), name).toThrow(SbxError);
      } else {
        expect(read(...chunks), name).toEqual([{ ...frame, payload: hex(frame.payload) }]);
      }
    }
  }
});

test("encodeCallFrame() writes the host's frames", () => {
  for (const { name, from, bytes, frame } of VECTORS) {
    if (from !== "host" || frame === null) continue;
    const { kind, call, stream, payload } = frame;
    expect(encodeCallFrame(kind, call, stream, hex(payload)), name).toEqual(hex(bytes));
  }
});

test("frames come out the same however the bytes are cut", () => {
  const stream = Buffer.concat(
    [1, 0, 7, 60_000, MAX_DATA, 3, 0, 20_000].map((length, n) =>
      length === 0
        ? encodeCallFrame(Kind.Eof, n + 1, 1)
        : encodeCallFrame(Kind.Data, n + 1, 2, new Uint8Array(length).fill(n))
    ),
  );
  const whole = read(stream);
  expect(whole.map(({ payload }) => payload.length)).toEqual([
    1,
    0,
    7,
    60_000,
    MAX_DATA,
    3,
    0,
    20_000,
  ]);
  for (const size of [1, 7, 8, 9, 1000, 65_536, 65_544, 70_000]) {
    const chunks = Array.from(
      { length: Math.ceil(stream.length / size) },
      (_, n) => stream.subarray(n * size, (n + 1) * size),
    );
    expect(read(...chunks)).toEqual(whole);
  }
});

test("mutated frames give frames or a PROTOCOL error, never anything else", () => {
  const seeds = VECTORS.filter(({ from }) => from === "agent").map(({ bytes }) => hex(bytes));
  let state = 1;
  const random = (below: number) => {
    state = Math.imul(state, 1_103_515_245) + 12_345 >>> 0;
    return (state >>> 8) % below;
  };
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.concat(
      Array.from({ length: 3 }, () => seeds[random(seeds.length)] ?? new Uint8Array()),
    );
    for (let n = random(4); n > 0; n--) bytes[random(bytes.length)] = random(256);
    const cut = random(bytes.length);
    try {
      const frames = read(bytes.subarray(0, cut), bytes.subarray(cut));
      const length = frames.reduce((sum, { payload }) => sum + 8 + payload.length, 0);
      expect(length).toBeLessThanOrEqual(bytes.length);
    } catch (error) {
      if (!(error instanceof SbxError) || error.code !== "PROTOCOL") throw error;
    }
  }
});

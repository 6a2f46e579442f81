import { heapStats } from "bun:jsc";
import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import { Buffer } from "node:buffer";
import { SbxError } from "../../lib/base/errors.ts";
import { Mux, type RedirectedFlow } from "../../lib/flow/mux.ts";
import {
  encodeCredit,
  encodeFrame,
  type Frame,
  FrameReader,
  FrameType,
  MAX_CREDIT,
} from "../../lib/flow/mux_frame.ts";
import type { ByteChannel, ChannelSink } from "../../lib/wire/channel.ts";
import { mutate } from "../support/mutate.ts";

/** netstack's end, in the test's hands. */
class Netstack implements ByteChannel {
  readonly frames: { type: number; id: number; payload: Uint8Array }[] = [];
  readonly #reader = new FrameReader();
  room = true;
  #sink: ChannelSink | undefined;
  start(sink: ChannelSink): void {
    this.#sink = sink;
  }
  write(bytes: Uint8Array): boolean {
    for (const frame of this.#reader.push(bytes)) {
      this.frames.push({ ...frame, payload: frame.payload.slice() });
    }
    return this.room;
  }
  drain(): void {
    this.room = true;
    this.#sink?.drain();
  }
  close(): void {}
  send(...frames: Uint8Array[]): void {
    for (const frame of frames) this.#sink?.data(frame);
  }
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 0));

const OPEN = (
  proto: string,
  credit: number | undefined = proto === "tcp" ? MAX_CREDIT : undefined,
) =>
  new TextEncoder().encode(JSON.stringify({
    t: "flow",
    id: 5,
    epoch: 1,
    proto,
    dir: "outbound",
    src: "192.168.127.2",
    sport: 1,
    dst: "9.9.9.9",
    dport: 53,
    credit,
  }));

function opened(proto = "tcp", credit?: number) {
  const netstack = new Netstack();
  const flows: RedirectedFlow[] = [];
  let error: SbxError | undefined;
  const mux = new Mux(netstack, (flow) => flows.push(flow), (reason) => error = reason);
  netstack.send(encodeFrame(FrameType.Open, 5, OPEN(proto, credit)));
  const [flow] = flows;
  if (flow === undefined) throw new Error("not opened");
  return { netstack, flow, mux, failed: () => error };
}

function streamOf(flow: RedirectedFlow) {
  if (flow.kind !== "stream") throw new Error("no stream");
  return flow.stream;
}

describe("a redirected flow of datagrams", () => {
  const datagramsOf = (flow: RedirectedFlow) => {
    if (flow.kind !== "datagrams") throw new Error("no datagrams");
    return flow.datagrams;
  };

  test("is refused and ended by frames of its own, and its end is told once", async () => {
    const { netstack, flow } = opened("udp");
    const datagrams = datagramsOf(flow);
    const heard: string[] = [];
    datagrams.onDatagram = (bytes) => heard.push(Buffer.from(bytes).toString());
    datagrams.onClose = () => heard.push("closed");
    netstack.send(encodeFrame(FrameType.Data, 5, Buffer.from("one")));
    datagrams.send(Buffer.alloc(0));
    datagrams.refuse();
    datagrams.end();
    datagrams.end();
    netstack.send(encodeFrame(FrameType.Data, 5, Buffer.from("two")));
    netstack.send(encodeFrame(FrameType.Reset, 5));
    await turn();
    expect(heard).toEqual(["one", "closed"]);
    const types = netstack.frames.map(({ type }) => type);
    expect(types).toEqual([FrameType.Data, FrameType.Eof, FrameType.Reset]);
  });

  test("hears of its end from netstack, and says so when netstack is behind", async () => {
    const { netstack, flow } = opened("udp");
    const datagrams = datagramsOf(flow);
    let closed = 0;
    datagrams.onClose = () => closed++;
    netstack.room = false;
    datagrams.send(Buffer.from("x"));
    await turn();
    expect(datagrams.congested).toBe(true);
    netstack.drain();
    expect(datagrams.congested).toBe(false);
    netstack.send(encodeFrame(FrameType.Reset, 5));
    expect(closed).toBe(1);
  });

  test("is cut with all others, streams among them", async () => {
    const { netstack, flow, mux } = opened("udp");
    let closed = 0;
    datagramsOf(flow).onClose = () => closed++;
    mux.cutAll();
    await turn();
    expect([closed, netstack.frames.map(({ type }) => type)]).toEqual([1, [FrameType.Reset]]);
    const other = opened();
    const { stream } = other.flow as RedirectedFlow & { kind: "stream" };
    other.mux.cutAll();
    await turn();
    expect([stream.destroyed, other.netstack.frames.map(({ type }) => type)])
      .toEqual([true, [FrameType.Reset]]);
  });
});

describe("a redirected stream", () => {
  test("carries bytes both ways and closes each direction by itself", async () => {
    const { netstack, flow } = opened();
    const stream = streamOf(flow);
    netstack.send(
      encodeFrame(FrameType.Data, 5, new TextEncoder().encode("hel")),
      encodeFrame(FrameType.Data, 5, new TextEncoder().encode("lo")),
      encodeFrame(FrameType.Eof, 5),
    );
    const chunks: Uint8Array[] = [];
    stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
    await once(stream, "end");
    expect(Buffer.concat(chunks).toString()).toBe("hello");
    stream.write("still open");
    stream.end();
    await once(stream, "close");
    expect(netstack.frames.map(({ type }) => type)).toEqual([FrameType.Data, FrameType.Eof]);
  });

  test.each([MAX_CREDIT, 16_384])(
    "sends no more than its credit, and goes on when there is more: %i",
    async (full) => {
      const { netstack, flow } = opened("tcp", full);
      const stream = streamOf(flow);
      stream.write(new Uint8Array(full + 1000));
      await turn();
      const sent = () => netstack.frames.reduce((sum, { payload }) => sum + payload.length, 0);
      expect(sent()).toBe(full);
      netstack.send(encodeCredit(5, 600));
      await turn();
      expect(sent()).toBe(full + 600);
    },
  );

  test.each([MAX_CREDIT, 16_384])("gives credit back only for what was read: %i", async (full) => {
    const { netstack, flow } = opened("tcp", full);
    const stream = streamOf(flow);
    for (let i = 0; i < 4; i++) {
      netstack.send(encodeFrame(FrameType.Data, 5, new Uint8Array(full / 4)));
    }
    await turn();
    expect(netstack.frames).toHaveLength(0);
    stream.resume();
    await turn();
    const credit = netstack.frames.filter(({ type }) => type === FrameType.Credit)
      .reduce((sum, { payload }) => sum + Buffer.from(payload).readUInt32BE(0), 0);
    expect(credit).toBe(full);
  });

  test("is destroyed by a reset, and destroying it resets", async () => {
    const first = opened();
    first.netstack.send(encodeFrame(FrameType.Reset, 5));
    expect(streamOf(first.flow).destroyed).toBe(true);
    const second = opened();
    streamOf(second.flow).destroy();
    await turn();
    expect(second.netstack.frames.map(({ type }) => type)).toEqual([FrameType.Reset]);
  });

  test.each<[string, Uint8Array[]]>([
    [
      "overrun credit",
      Array.from({ length: 5 }, () => encodeFrame(FrameType.Data, 5, new Uint8Array(65_536))),
    ],
    ["credit it does not owe", [encodeCredit(5, 1)]],
    ["an open without credit", [encodeFrame(FrameType.Open, 6, OPEN("tcp", 0))]],
    [
      "an open with more credit than may be",
      [encodeFrame(FrameType.Open, 6, OPEN("tcp", MAX_CREDIT + 1))],
    ],
    ["an open of a flow that is open", [encodeFrame(FrameType.Open, 5, OPEN("tcp"))]],
    ["no bytes of a stream", [encodeFrame(FrameType.Data, 5)]],
    ["a second end", [encodeFrame(FrameType.Eof, 5), encodeFrame(FrameType.Eof, 5)]],
    ["an end with bytes", [encodeFrame(FrameType.Eof, 5, Uint8Array.of(1))]],
    ["a reset with bytes", [encodeFrame(FrameType.Reset, 5, Uint8Array.of(1))]],
    ["credit of no number", [encodeFrame(FrameType.Credit, 5, Uint8Array.of(1))]],
    ["an unknown type", [Uint8Array.of(9, 0, 0, 0, 0, 0, 0, 5)]],
  ])("ends the channel on %s", (_what, frames) => {
    const { netstack, failed } = opened();
    netstack.send(...frames);
    expect(failed()).toBeInstanceOf(SbxError);
  });
});

/** Counted where the runtime keeps them: what is held for each byte is the cost, not its time. */
function buffers(): number {
  Bun.gc(true);
  const { objectTypeCounts } = heapStats();
  return (objectTypeCounts.Buffer ?? 0) + (objectTypeCounts.Uint8Array ?? 0);
}

test.each(["unread", "paused"])(
  "single bytes cost no object each while they are %s",
  async (how) => {
    const { netstack, flow, failed } = opened();
    const stream = streamOf(flow);
    const chunks: Uint8Array[] = [];
    if (how === "paused") {
      stream.on("data", (chunk: Uint8Array) => chunks.push(chunk));
      await turn();
      stream.pause();
    }
    const before = buffers();
    const frame = encodeFrame(FrameType.Data, 5, Uint8Array.of(7));
    for (let sent = 0; sent < MAX_CREDIT; sent++) netstack.send(frame);
    await turn();
    expect(buffers() - before).toBeLessThan(1_000);
    expect(failed()).toBeUndefined();
    stream.on("data", (chunk: Uint8Array) => how === "unread" && chunks.push(chunk));
    stream.resume();
    while (chunks.reduce((sum, { length }) => sum + length, 0) < MAX_CREDIT) await turn();
    expect(Buffer.concat(chunks).every((byte) => byte === 7)).toBe(true);
  },
);

test("a redirected datagram flow keeps datagrams apart", async () => {
  const { netstack, flow } = opened("udp");
  if (flow.kind !== "datagrams") throw new Error("no datagrams");
  const got: string[] = [];
  flow.datagrams.onDatagram = (payload) => got.push(Buffer.from(payload).toString());
  for (const text of ["one", "two"]) {
    netstack.send(encodeFrame(FrameType.Data, 5, new TextEncoder().encode(text)));
  }
  flow.datagrams.send(new TextEncoder().encode("answer"));
  await turn();
  expect(got).toEqual(["one", "two"]);
  expect(netstack.frames.map(({ payload }) => Buffer.from(payload).toString())).toEqual(["answer"]);
});

test("frames come out the same wherever the channel cuts them", () => {
  const frames = Buffer.concat([
    encodeFrame(FrameType.Open, 7, OPEN("tcp")),
    encodeCredit(7, 5),
    encodeFrame(FrameType.Eof, 7),
    encodeFrame(FrameType.Data, 7, Buffer.from("what follows an empty frame")),
  ]);
  const read = (pieces: readonly Buffer[]) => {
    const reader = new FrameReader();
    return pieces.flatMap((piece) =>
      [...reader.push(piece)].map(({ payload, ...rest }) => ({ ...rest, payload: [...payload] }))
    );
  };
  const whole = read([frames]);
  expect(whole.map(({ type }) => type)).toEqual([1, 5, 3, 2]);
  for (let size = 1; size < frames.length; size++) {
    const pieces = Array.from(
      { length: Math.ceil(frames.length / size) },
      (_, at) => frames.subarray(at * size, (at + 1) * size),
    );
    expect(read(pieces)).toEqual(whole);
  }
});

test("FrameReader lets nothing but its own error escape from 20,000 mutations", () => {
  const corpus = [
    Buffer.concat([encodeFrame(FrameType.Data, 1, new Uint8Array(20)), encodeCredit(1, 5)]),
    encodeFrame(FrameType.Open, 7, OPEN("tcp")),
  ];
  mutate(corpus, 20_000, (sample) => {
    try {
      const frames: Frame[] = [...new FrameReader().push(sample)];
      for (const { payload } of frames) expect(payload.length).toBeLessThanOrEqual(65_536);
    } catch (error) {
      if (!(error instanceof SbxError)) throw error;
    }
  });
});

/**
 * Readers of the channels, against themselves: a stream of frames, damaged or not, reads the same however
 * it is cut, down to where it stops being one.
 */
import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { encodeMessage, MessageReader } from "../../lib/flow/control_codec.ts";
import type { ToNetstack } from "../../lib/flow/control_message.ts";
import {
  encodeCredit,
  encodeFrame,
  type Frame,
  FrameReader,
  FrameType,
} from "../../lib/flow/mux_frame.ts";
import { AGENT as AGENT_PEER } from "../../lib/guest/agent/client.ts";
import { CallFrameReader, encodeCallFrame, Kind } from "../../lib/wire/call_frame.ts";
import { damaged } from "../support/mutate.ts";
import { cuts, readAll } from "../support/segments.ts";

const text = (value: string) => new TextEncoder().encode(value);
const control = (...messages: object[]) =>
  Buffer.concat((messages as unknown as ToNetstack[]).map(encodeMessage));

const CONTROL = [
  control({ t: "hello", v: 1, pid: 7 }, { t: "ready" }, { t: "pong", n: 3 }),
  control({ t: "opened", id: 3, dial: "93.184.216.34:443" }, { t: "link-down" }),
  control({ t: "first", id: 3, data: Buffer.alloc(300, 1).toString("base64"), end: "full" }),
  control({ t: "closed", id: 3, up: 1, down: 2 ** 40, ms: 12, end: "eof" }, {
    t: "fatal",
    message: "é",
  }),
];

const FLOWS = [
  encodeFrame(FrameType.Open, 7, text(`{"t":"flow"}`)),
  Buffer.concat([encodeCredit(7, 5), encodeFrame(FrameType.Eof, 7)]),
  Buffer.concat([encodeFrame(FrameType.Data, 9), encodeFrame(FrameType.Data, 9, text("datagram"))]),
  encodeFrame(FrameType.Data, 7, new Uint8Array(1000).fill(3)),
  encodeFrame(FrameType.Reset, 7),
];

const AGENT = [
  Buffer.concat([encodeCallFrame(Kind.Data, 1, 1, text("out")), encodeCallFrame(Kind.Eof, 1, 1)]),
  encodeCallFrame(Kind.Credit, 1, 0, Uint8Array.of(0, 0, 0, 3)),
  encodeCallFrame(Kind.Data, 2, 2, new Uint8Array(900).fill(4)),
  encodeCallFrame(Kind.Result, 1, 0, text(`{"ok":{"code":0}}`)),
];

/** A conversation, half of the time with damage. */
const conversation = (frames: readonly Uint8Array[]) =>
  fc.tuple(fc.array(fc.constantFrom(...frames), { minLength: 1, maxLength: 6 }), fc.integer())
    .map(([some, seed]) => {
      const bytes = Uint8Array.from(Buffer.concat(some));
      return seed % 2 === 0 ? bytes : damaged([bytes], seed);
    }).chain((bytes) => fc.tuple(fc.constant(bytes), cuts(bytes)));

test.each<[string, () => (piece: Uint8Array) => Iterable<{ payload?: Uint8Array }>, Uint8Array[]]>([
  ["control messages", () => {
    const reader = new MessageReader();
    return (piece) => reader.push(piece) as Iterable<object>;
  }, CONTROL],
  ["frames of the flows channel", () => {
    const reader = new FrameReader();
    return (piece) => reader.push(piece) as Iterable<Frame>;
  }, FLOWS],
  ["frames of the agent", () => {
    const reader = new CallFrameReader(AGENT_PEER);
    return (piece) => reader.push(piece);
  }, AGENT],
])("%s", (_what, reader, frames) => {
  const copy = (frame: { payload?: Uint8Array }) =>
    frame.payload === undefined ? frame : { ...frame, payload: frame.payload.slice() };
  fc.assert(
    fc.property(conversation(frames), ([whole, pieces]) => {
      expect(readAll(reader(), pieces, copy)).toEqual(readAll(reader(), [whole], copy));
    }),
    { numRuns: 1_000 },
  );
});

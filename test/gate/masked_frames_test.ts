/** Values in what servers send over WebSockets, however messages are cut into frames and frames into pieces. */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { MaskedFrames } from "../../lib/gate/masked_frames.ts";
import { GateRefusal } from "../../lib/http/gate.ts";
import { Mask } from "../../lib/secret/mask.ts";
import { mutate } from "../support/mutate.ts";
import { cut, random } from "../support/random.ts";
import { held } from "../secret/held.ts";

const KEY = held("sk-ant-0123456789-abcdefghij-0123456789-xyz");
const VALUE = KEY.value.reveal();
const PH = KEY.placeholder.text.padEnd(VALUE.length, "~");
const MASK = new Mask([KEY]);

/** RFC 6455 5.2 */
const [CONTINUED, TEXT, BINARY, CLOSE, PING] = [0, 1, 2, 8, 9];

function frame(opcode: number, payload: string | Buffer, last = true): Buffer {
  const bytes = Buffer.from(payload);
  const { length } = bytes;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = opcode | (last ? 0x80 : 0);
  head[1] = length < 126 ? length : length < 65_536 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, bytes]);
}

function heard(pieces: readonly Uint8Array[]): Buffer {
  const frames = new MaskedFrames(() => MASK.fittedBody());
  const out = pieces.map((piece) => frames.push(Buffer.from(piece)));
  return Buffer.concat([...out, frames.end()]);
}

const [BEFORE, AFTER] = [VALUE.slice(0, 9), VALUE.slice(9)];
const [PH_BEFORE, PH_AFTER] = [PH.slice(0, 9), PH.slice(9)];

const CASES: [what: string, said: Buffer[], expected: Buffer[]][] = [
  ["in a text", [frame(TEXT, `{"k":"${VALUE}"}`)], [frame(TEXT, `{"k":"${PH}"}`)]],
  ["in bytes", [frame(BINARY, `\0${VALUE}`)], [frame(BINARY, `\0${PH}`)]],
  [
    "in a long text",
    [frame(TEXT, VALUE + "x".repeat(70_000))],
    [frame(TEXT, PH + "x".repeat(70_000))],
  ],
  ["as a reason to close", [frame(CLOSE, `ab${VALUE}`)], [frame(CLOSE, `ab${PH}`)]],
  [
    "over frames, with a ping between",
    [
      frame(TEXT, `a${BEFORE}`, false),
      frame(PING, "1"),
      frame(CONTINUED, "", false),
      frame(CONTINUED, AFTER + "b"),
      frame(TEXT, VALUE),
    ],
    [
      frame(TEXT, `a${PH_BEFORE}`, false),
      frame(PING, "1"),
      frame(CONTINUED, "", false),
      frame(CONTINUED, PH_AFTER + "b"),
      frame(TEXT, PH),
    ],
  ],
  [
    "a byte a frame",
    [...VALUE].map((one, at) => frame(at === 0 ? TEXT : CONTINUED, one, at === VALUE.length - 1)),
    [...PH].map((one, at) => frame(at === 0 ? TEXT : CONTINUED, one, at === PH.length - 1)),
  ],
  [
    "not over messages",
    [frame(TEXT, BEFORE), frame(TEXT, AFTER)],
    [frame(TEXT, BEFORE), frame(TEXT, AFTER)],
  ],
];

test.each(CASES)("a value %s is replaced, and the frames stay", (_, said, expected) => {
  const bytes = Buffer.concat(said);
  const whole = Buffer.concat(expected);
  expect(heard([bytes]).equals(whole)).toBe(true);
  expect(
    heard(
      [...bytes.subarray(0, 2_000)].map((one) => Uint8Array.of(one)).concat([
        bytes.subarray(2_000),
      ]),
    ).equals(whole),
  ).toBe(true);
  const numbers = random(73);
  for (let round = 0; round < (bytes.length > 1_000 ? 1 : 30); round++) {
    expect(heard(cut(bytes, numbers)).equals(whole)).toBe(true);
  }
});

test("a message goes on at once when it ends, whatever it ends in", () => {
  const frames = new MaskedFrames(() => MASK.fittedBody());
  for (const text of ["hello", BEFORE, VALUE.slice(0, -1)]) {
    expect(frames.push(frame(TEXT, text)).equals(frame(TEXT, text))).toBe(true);
  }
  expect(frames.masked).toEqual([]);
  frames.push(frame(TEXT, VALUE));
  frames.push(frame(PING, VALUE));
  expect(frames.masked).toEqual([{ name: "API_KEY", count: 1 }, { name: "API_KEY", count: 1 }]);
});

test("a tunnel that ends in the middle passes what came", () => {
  const bytes = frame(TEXT, `a${BEFORE}`, false);
  for (let end = 0; end <= bytes.length; end++) {
    expect(heard([bytes.subarray(0, end)]).equals(bytes.subarray(0, end))).toBe(true);
  }
});

describe("frames that cannot be read end the tunnel", () => {
  const endless = frame(BINARY, "x".repeat(70_000));
  endless.writeBigUInt64BE(1n << 60n, 2);
  const empty = [frame(TEXT, BEFORE, false), ...Array(2_000).fill(frame(CONTINUED, "", false))];

  test.each<[what: string, refused: Buffer, allowed: Buffer]>([
    ["compressed", frame(TEXT | 0x40, "x"), frame(TEXT, "x")],
    ["with a key", Buffer.from([0x81, 0x81, 0, 0, 0, 0, 1]), Buffer.from([0x81, 1, 1])],
    ["a long control frame", frame(PING, "x".repeat(126)), frame(PING, "x".repeat(125))],
    ["of no known kind", frame(3, "x"), frame(BINARY, "x")],
    ["a wide length", Buffer.from([0x81, 126, 0, 1, 65]), Buffer.from([0x81, 1, 65])],
    ["without an end", endless, frame(BINARY, "x".repeat(70_000))],
    ["empty ones", Buffer.concat(empty), Buffer.concat(empty.slice(0, 500))],
  ])("%s", (_, refused, allowed) => {
    expect(() => heard([refused])).toThrow(GateRefusal);
    expect(heard([allowed]).equals(allowed)).toBe(true);
  });
});

test("of 3,000 damaged tunnels each is read or refused, and keeps its length", () => {
  const numbers = random(79);
  let passed = 0;
  mutate(CASES.map(([, said]) => Buffer.concat(said).subarray(0, 500)), 3_000, (sample) => {
    try {
      expect(heard(cut(sample, numbers)).length).toBe(sample.length);
      passed++;
    } catch (error) {
      expect(error).toBeInstanceOf(GateRefusal);
    }
  });
  expect(passed).toBeGreaterThan(500);
}, 60_000);

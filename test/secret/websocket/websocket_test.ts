/** Values in messages of WebSockets, and placeholders behind masks. */
import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import {
  FrameFault,
  type FrameHead,
  FrameReader,
  Opcode,
  writeFrame,
} from "../../../lib/secret/websocket/frame.ts";
import { Frames, Messages, MOST_FRAME } from "../../../lib/secret/websocket/messages.ts";
import { substituteMessages } from "../../../lib/secret/websocket/substitute.ts";
import { growth, SUBQUADRATIC } from "../../support/growth.ts";
import { mutate } from "../../support/mutate.ts";
import { cuts, readAll } from "../../support/segments.ts";
import { grantOf, held } from "../held.ts";

const REAL = 'a "real" value\\';
const KEY = held(REAL, { places: new Set(["websocket"]) });
const PH = KEY.placeholder.text;
const OFF = held(REAL);
const MASK = Buffer.from([1, 2, 3, 250]);

interface Frame {
  readonly opcode: number;
  readonly last?: boolean;
  readonly payload: string;
}

const text = (payload: string): Frame => ({ opcode: Opcode.Text, payload });
const first = (payload: string): Frame => ({ opcode: Opcode.Text, last: false, payload });
const next = (payload: string, last = false): Frame => ({ opcode: 0, last, payload });
const ping = (payload: string): Frame => ({ opcode: Opcode.Ping, payload });

function written(frames: readonly Frame[], mask: Buffer | null = MASK): Buffer {
  return Buffer.concat(
    frames.map(({ opcode, last = true, payload }) =>
      writeFrame({ last, opcode, mask }, Buffer.from(payload))
    ),
  );
}

function read(bytes: Uint8Array, from: "client" | "server" = "client"): Frame[] {
  const frames: Frame[] = [];
  let parts: Buffer[] = [];
  const reader = new FrameReader(from, {
    begin: () => parts = [],
    payload: (part) => parts.push(part),
    end: ({ opcode, last }: FrameHead) =>
      frames.push({ opcode, last, payload: Buffer.concat(parts).toString() }),
  });
  reader.push(bytes);
  return frames;
}

/** Whole messages, and control frames between them, with the place on. */
function sent(frames: readonly Frame[]): Frame[] {
  const one = substituteMessages([grantOf(KEY)], () => {});
  const all = read(one.push(written(frames)));
  const messages: Frame[] = [];
  for (const { opcode, payload } of all) {
    const last = messages.at(-1);
    if (opcode === 0 && last !== undefined) {
      messages[messages.length - 1] = { ...last, payload: last.payload + payload };
    } else if (opcode < 8) messages.push({ opcode, payload });
  }
  return messages;
}

const contents = (frames: readonly Frame[]) => sent(frames).map(({ payload }) => payload);

describe("a text message of the guest", () => {
  test("gets the value as it is, and in JSON in the escapes of JSON", () => {
    const escaped = JSON.stringify(REAL).slice(1, -1);
    expect(
      contents([text(`key ${PH}`), text(` {"key":"${PH}"}`), text(`["${PH}"]`), text(`"${PH}"`)]),
    )
      .toEqual([`key ${REAL}`, ` {"key":"${escaped}"}`, `["${escaped}"]`, JSON.stringify(REAL)]);
  });

  test("gets it across the frames that it comes in, and pings pass between them", () => {
    const [a, b, c] = [PH.slice(0, 5), PH.slice(5, 20), PH.slice(20)];
    const one = substituteMessages([grantOf(KEY)], () => {});
    const out = read(
      one.push(written([first(""), next(`x${a}`), ping("p"), next(b), next(`${c}y`, true)])),
    );
    expect(out.map(({ opcode }) => opcode)).toEqual([1, 0, 9, 0, 0]);
    expect(out.map(({ last }) => last)).toEqual([false, false, true, false, true]);
    expect(out.filter(({ opcode }) => opcode !== 9).map(({ payload }) => payload).join(""))
      .toBe(`x${REAL}y`);
    expect(one.counted()).toEqual({ used: [{ name: "API_KEY", count: 1 }], inert: [] });
  });

  test("gets none that begins in one message and ends in the next", () => {
    expect(contents([text(PH.slice(0, 9)), text(PH.slice(9))])).toEqual([
      PH.slice(0, 9),
      PH.slice(9),
    ]);
  });

  test("goes on byte by byte as it came where there is nothing in it, up to a large frame", () => {
    const bytes = written([
      text("{}"),
      first("a".repeat(126)),
      next(""),
      ping(PH.slice(0, 9)),
      next("b".repeat(MOST_FRAME), true),
    ]);
    expect(substituteMessages([grantOf(KEY)], () => {}).push(bytes).equals(bytes)).toBe(true);
  });

  test("larger than is held goes on in several frames", () => {
    const large = "a".repeat(MOST_FRAME - 3) + PH + "b".repeat(2 * MOST_FRAME);
    const one = substituteMessages([grantOf(KEY)], () => {});
    const out = read(one.push(written([text(large)])));
    expect(out.length).toBeGreaterThan(2);
    expect(out.map(({ last }) => last)).toEqual(out.map((_, at) => at === out.length - 1));
    expect(out.map(({ payload }) => payload).join("")).toBe(large.replace(PH, REAL));
  });

  test("with more values than any client sends goes nowhere", () => {
    const long = held("v".repeat(16_000), { places: new Set(["websocket"]) });
    const one = substituteMessages([grantOf(long)], () => {});
    expect(() => one.push(written([text(long.placeholder.text.repeat(100))]))).toThrow(FrameFault);
  });
});

describe("what gets no value", () => {
  test.each<[string, Frame]>([
    ["a binary message", { opcode: Opcode.Binary, payload: PH }],
    ["a ping", ping(PH)],
    ["a farewell", { opcode: Opcode.Close, payload: `\x03\xe8${PH}` }],
  ])("%s", (_, frame) => {
    const bytes = written([frame]);
    expect(substituteMessages([grantOf(KEY)], () => {}).push(bytes).equals(bytes)).toBe(true);
  });

  test("any message where the place is off: it passes byte by byte, however large", () => {
    const bytes = written([text(PH), text("a".repeat(3 * MOST_FRAME))]);
    expect(substituteMessages([grantOf(OFF)], () => {}).push(bytes).equals(bytes)).toBe(true);
    expect(substituteMessages([], () => {}).push(bytes).equals(bytes)).toBe(true);
  });
});

test.each([["on", KEY], ["off", OFF]])(
  "with the place %s all that passes is looked at without its mask, and before it goes on",
  (_, key) => {
    const seen: string[] = [];
    const one = substituteMessages([grantOf(key)], (bytes, of) => {
      seen.push(`${of} ${bytes.toString()}`);
      if (bytes.includes("stop")) throw new Error("stopped");
    });
    one.push(written([text("a"), { opcode: Opcode.Binary, payload: "b" }, ping("c"), ping("")]));
    expect(seen).toEqual(["message a", "message b", "control c", "control "]);
    expect(() => one.push(written([text("go"), text("stop")]))).toThrow("stopped");
    expect(() => one.push(written([ping("stop")]))).toThrow("stopped");
  },
);

describe("what is no WebSocket ends it", () => {
  const frame = written([text("abc")]);
  const changed = (at: number, by: number) => Buffer.from(frame).fill(by, at, at + 1);
  test.each<[string, Buffer]>([
    ["a frame without a mask", written([text("abc")], null)],
    ["a compressed frame", changed(0, 0xc1)],
    ["a frame of an extension", changed(0, 0x91)],
    ["a kind that is not known", changed(0, 0x83)],
    ["a control kind that is not known", changed(0, 0x8b)],
    ["a fragmented ping", changed(0, 0x09)],
    ["a ping too large", written([ping("a".repeat(126))])],
    ["a fragment of nothing", written([next("a")])],
    ["a message inside another", written([first("a"), text("b")])],
    ["a length in more bytes than it takes", Buffer.from([0x81, 0xfe, 0, 125, 0, 0, 0, 0])],
    [
      "a length of the widest kind that fits a narrower",
      Buffer.from([0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0]),
    ],
    ["a length beyond all", Buffer.from([0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])],
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\n")],
  ])("%s", (_, bytes) => {
    for (const key of [KEY, OFF]) {
      expect(() => substituteMessages([grantOf(key)], () => {}).push(bytes)).toThrow(FrameFault);
    }
  });

  test("a server's frames have no mask, and must have none", () => {
    const frames = () => new Frames({ from: "server", look: () => {} });
    const bytes = written([text("abc")], null);
    expect(frames().push(bytes).equals(bytes)).toBe(true);
    expect(() => frames().push(frame)).toThrow(FrameFault);
  });
});

const MIXED = written([
  text(`{"a":"${PH}"}`),
  first(`x${PH.slice(0, 7)}`),
  ping("p"),
  next(PH.slice(7) + PH, true),
  { opcode: Opcode.Binary, payload: PH },
  text(""),
  text("a".repeat(70_000)),
]);

test("how the bytes were cut changes nothing", () => {
  const whole = substituteMessages([grantOf(KEY)], () => {}).push(MIXED);
  const small = Uint8Array.from(MIXED.subarray(0, MIXED.length - 70_000));
  fc.assert(
    fc.property(cuts(small), (pieces) => {
      const one = substituteMessages([grantOf(KEY)], () => {});
      const { read, error } = readAll((piece) => [one.push(Buffer.from(piece))], pieces);
      expect(error).toBeNull();
      const out = Buffer.concat(read);
      expect(whole.subarray(0, out.length).equals(out)).toBe(true);
    }),
    { numRuns: 100 },
  );
});

test("damaged frames meet the declared fault only", () => {
  mutate([MIXED.subarray(0, 400), written([text("a"), ping("b")])], 3_000, (damaged) => {
    for (const key of [KEY, OFF]) {
      try {
        substituteMessages([grantOf(key)], () => {}).push(Buffer.from(damaged));
      } catch (error) {
        expect(error).toBeInstanceOf(FrameFault);
      }
    }
  });
});

test("the work is what the length is, in one piece and in many", () => {
  const make = () => substituteMessages([grantOf(KEY)], () => {});
  const units = [text(PH.slice(0, -1)), first(PH.slice(0, 5)), ping(""), text("")];
  for (const unit of units) {
    const bytes = written([unit]);
    const { ratio } = growth((size) => {
      const one = make();
      one.push(Buffer.concat(Array.from({ length: size / bytes.length }, () => bytes)));
    }, { most: 262_144 });
    expect(ratio).toBeLessThan(SUBQUADRATIC);
  }
  const { ratio } = growth((size) => {
    const one = make();
    const bytes = written([text("a".repeat(size))]);
    for (let at = 0; at < bytes.length; at++) one.push(bytes.subarray(at, at + 1));
  }, { most: 262_144 });
  expect(ratio).toBeLessThan(SUBQUADRATIC);
});

test("a server's messages can be changed by whoever reads them", () => {
  const messages = new Messages({
    from: "server",
    look: () => {},
    open: () => ({
      push: (bytes) => Buffer.from(bytes.toString().toUpperCase()),
      end: () => Buffer.from("!"),
    }),
  });
  const out = messages.push(written([first("a"), next("b", true)], null));
  expect(read(out, "server").map(({ payload }) => payload)).toEqual(["A", "B!"]);
});

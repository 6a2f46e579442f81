import { describe, expect, test } from "bun:test";
import { SbxError } from "../../lib/base/errors.ts";
import {
  encodeMessage,
  type FromNetstack,
  MessageReader,
  parseMessage,
} from "../../lib/flow/control_message.ts";
import { mutate } from "../support/mutate.ts";

function frame(value: unknown): Uint8Array {
  const body = new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
  const bytes = new Uint8Array(4 + body.length);
  new DataView(bytes.buffer).setUint32(0, body.length);
  bytes.set(body, 4);
  return bytes;
}

const FLOW = {
  t: "flow",
  id: 3,
  epoch: 1,
  proto: "tcp",
  dir: "outbound",
  src: "192.168.127.2",
  sport: 40000,
  dst: "93.184.216.34",
  dport: 443,
} as const;

describe("MessageReader", () => {
  test("cuts messages wherever the bytes are cut", () => {
    const stream = [FLOW, { t: "pong" }, { t: "opened", id: 3, dial: "93.184.216.34:443" }].map(
      frame,
    );
    const whole = Uint8Array.from(stream.flatMap((bytes) => [...bytes]));
    for (const size of [1, 3, 7, 1000]) {
      const reader = new MessageReader();
      const got: FromNetstack[] = [];
      for (let at = 0; at < whole.length; at += size) {
        got.push(...reader.push(whole.slice(at, at + size)));
      }
      expect(got.map(({ t }) => t)).toEqual(["flow", "pong", "opened"]);
      expect(got[0]).toEqual(FLOW);
    }
  });

  test.each([
    ["an empty message", new Uint8Array(4)],
    ["a message over 1 MiB", Uint8Array.of(0, 0x20, 0, 0)],
    ["text that is not JSON", frame("{")],
    ["a number", frame("1")],
    ["an unknown type", frame({ t: "grant-all" })],
    ["a flow without a protocol", frame({ ...FLOW, proto: "sctp" })],
    ["a negative id", frame({ ...FLOW, id: -1 })],
    ["an id that is no integer", frame({ ...FLOW, id: 1.5 })],
    ["an address that is no text", frame({ ...FLOW, dst: 7 })],
  ])("refuses %s", (_what: string, bytes: Uint8Array) => {
    expect(() => [...new MessageReader().push(bytes)]).toThrow(SbxError);
  });

  test("lets nothing but its own error escape from 20,000 mutations", () => {
    const corpus = [frame(FLOW), frame({ t: "closed", id: 1, up: 1, down: 2, ms: 3, end: "eof" })];
    mutate(corpus, 20_000, (sample) => {
      try {
        [...new MessageReader().push(sample)];
      } catch (error) {
        if (!(error instanceof SbxError)) throw error;
      }
    });
  });
});

test("encodeMessage() writes what parseMessage() of the other side would read", () => {
  const bytes = encodeMessage({ t: "ping", n: 7 });
  expect(new DataView(bytes.buffer, bytes.byteOffset).getUint32(0)).toBe(bytes.length - 4);
  expect(JSON.parse(new TextDecoder().decode(bytes.subarray(4)))).toEqual({ t: "ping", n: 7 });
  expect(parseMessage('{"t":"pong","n":7}')).toEqual({ t: "pong", n: 7 });
});

import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { SbxError } from "../../lib/base/errors.ts";
import { encodeMessage, MessageReader, parseMessage } from "../../lib/flow/control_codec.ts";
import type { FromNetstack } from "../../lib/flow/control_message.ts";
import { mutate } from "../support/mutate.ts";

function frame(value: unknown): Uint8Array {
  const body = new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));
  const bytes = new Uint8Array(4 + body.length);
  new DataView(bytes.buffer).setUint32(0, body.length);
  bytes.set(body, 4);
  return bytes;
}

const INFO = {
  id: 3,
  proto: "tcp",
  dir: "outbound",
  src: "192.168.127.2",
  sport: 40000,
  dst: "93.184.216.34",
  dport: 443,
} as const;
const FLOW = { t: "flow", epoch: 1, ...INFO } as const;

const MESSAGES: readonly FromNetstack[] = [
  { t: "hello", v: 1, pid: 4711 },
  { t: "ready" },
  FLOW,
  { ...FLOW, dir: "inbound", src: "127.0.0.1", dst: "192.168.127.2", dport: 80, ref: 2 },
  { ...FLOW, proto: "icmpv6", src: "fd73:6278::2", dst: "2606:2800:220::34", sport: 0, dport: 0 },
  { t: "cached", ...INFO, action: "deny" },
  { t: "opened", id: 3, dial: "93.184.216.34:443" },
  { t: "opened", id: 4, dial: "[2606:2800:220::34]:443" },
  { t: "closed", id: 3, up: 100, down: 2 ** 40, ms: 12, end: "eof" },
  { t: "unheard", id: 11 },
  { t: "limit", what: "flows", count: 12 },
  { t: "published", ref: 1, addr: "127.0.0.1", port: 8080 },
  { t: "publish-failed", ref: 2, code: "EADDRINUSE", message: "address already in use" },
  { t: "link-down" },
  { t: "pong", n: 7 },
  { t: "fatal", message: "out of order" },
];

describe("MessageReader", () => {
  test("reads every message as it was written, wherever the bytes are cut", () => {
    const whole = Uint8Array.from(MESSAGES.map(frame).flatMap((bytes) => [...bytes]));
    for (const size of [1, 3, 7, 1000, whole.length]) {
      const reader = new MessageReader();
      const got: FromNetstack[] = [];
      for (let at = 0; at < whole.length; at += size) {
        got.push(...reader.push(whole.slice(at, at + size)));
      }
      expect(got).toEqual([...MESSAGES]);
    }
  });

  test.each<[string, Uint8Array]>([
    ["an empty message", new Uint8Array(4)],
    ["a message over 1 MiB", Uint8Array.of(0, 0x20, 0, 0)],
    ["text that is not JSON", frame("{")],
    ["a number", frame("1")],
    ["null", frame("null")],
    ["a message without a type", frame({})],
    ["an unknown type", frame({ t: "grant-all" })],
    ["a type from an object's prototype", frame({ t: "constructor" })],
    ["a flow without a protocol", frame({ ...FLOW, proto: "sctp" })],
    ["a flow without a direction", frame({ ...FLOW, dir: "sideways" })],
    ["a negative id", frame({ ...FLOW, id: -1 })],
    ["an id that is no integer", frame({ ...FLOW, id: 1.5 })],
    ["an id that is not exact", frame({ ...FLOW, id: 2 ** 53 })],
    ["an address that is no text", frame({ ...FLOW, dst: 7 })],
    ["an address that is none", frame({ ...FLOW, dst: "example.test" })],
    ["a port beyond the last", frame({ ...FLOW, dport: 65_536 })],
    ["an unknown action", frame({ ...FLOW, t: "cached", action: "maybe" })],
    ["an unknown end", frame({ t: "closed", id: 1, up: 0, down: 0, ms: 0, end: "tired" })],
    ["bytes that are not base64", frame({ t: "first", id: 1, data: "§§", end: "eof" })],
    ["a dial address with a terminal sequence", frame({ t: "opened", id: 1, dial: "\u001b[2J" })],
  ])("refuses %s", (_what, bytes) => {
    expect(() => [...new MessageReader().push(bytes)]).toThrow(SbxError);
  });

  test("lets nothing but its own error escape from 20,000 mutations", () => {
    mutate([...MESSAGES.map(frame), frame(FIRST)], 20_000, (sample) => {
      try {
        for (const _ of new MessageReader().push(sample));
      } catch (error) {
        if (!(error instanceof SbxError)) throw error;
      }
    });
  });
});

const FIRST = { t: "first", id: 5, data: "R0VUIA==", end: "timeout" };

describe("parseMessage()", () => {
  test("reads first bytes, and none at all", () => {
    expect(parseMessage(JSON.stringify(FIRST))).toEqual({
      t: "first",
      id: 5,
      data: Buffer.from("GET "),
      end: "timeout",
    });
    for (const data of [null, ""]) {
      const message = parseMessage(JSON.stringify({ ...FIRST, data }));
      expect(message.t === "first" && message.data.length).toBe(0);
    }
  });

  test("makes addresses canonical, so that equal ones are equal texts", () => {
    const spelt = (dst: string) => parseMessage(JSON.stringify({ ...FLOW, dst }));
    expect(spelt("::ffff:10.9.9.9")).toMatchObject({ dst: "10.9.9.9" });
    expect(spelt("2606:2800:0220:0:0::34")).toMatchObject({ dst: "2606:2800:220::34" });
  });

  test("ignores keys that it does not know", () => {
    expect(parseMessage('{"t":"pong","n":7,"later":{"x":1}}')).toEqual({ t: "pong", n: 7 });
  });
});

test("encodeMessage() writes one frame a message", () => {
  const messages = [{ t: "ping", n: 7 }, { t: "host", addresses: ["10.0.0.1"] }] as const;
  const bytes = Buffer.concat(messages.map(encodeMessage));
  const wanted = [{ t: "ping", n: 7 }, { t: "host", addresses: ["10.0.0.1"] }].map(frame);
  expect(Buffer.from(bytes)).toEqual(Buffer.concat(wanted));
});

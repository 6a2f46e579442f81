/** The control channel's life, from sbx's side: a netstack of words on the other end of it. */
import { afterEach, beforeEach, expect, jest, test } from "bun:test";
import { Buffer } from "node:buffer";
import { LINK } from "../../lib/base/link.ts";
import { Control } from "../../lib/flow/control.ts";
import {
  type ConfigMessage,
  type FromNetstack,
  PROTOCOL_VERSION,
} from "../../lib/flow/control_message.ts";
import type { ByteChannel, ChannelSink } from "../../lib/wire/channel.ts";

const CONFIG: ConfigMessage = {
  t: "config",
  v: PROTOCOL_VERSION,
  epoch: 1,
  mtu: LINK.mtu,
  guest: LINK.guest,
  gateway: LINK.gateway,
  hostAddresses: [],
  limits: {},
  verdictTimeoutMs: 1,
};
const HELLO = { t: "hello", v: PROTOCOL_VERSION, pid: 1 };
const FLOW = {
  t: "flow",
  epoch: 1,
  dir: "outbound",
  proto: "tcp",
  src: "192.168.127.2",
  sport: 4000,
  dst: "93.184.216.34",
  dport: 443,
};

function frames(...messages: readonly object[]): Uint8Array {
  return Buffer.concat(messages.map((message) => {
    const text = Buffer.from(JSON.stringify(message));
    const head = Buffer.alloc(4);
    head.writeUInt32BE(text.length);
    return Buffer.concat([head, text]);
  }));
}

/** What was written in one go, as the types of its messages. */
function typesIn(bytes: Uint8Array): string[] {
  const types = [];
  for (let at = 0; at < bytes.length;) {
    const end = at + 4 + Buffer.from(bytes).readUInt32BE(at);
    types.push(JSON.parse(Buffer.from(bytes).toString("utf8", at + 4, end)).t);
    at = end;
  }
  return types;
}

/** A control whose netstack says what the test says; `answer` is what sbx does about each message. */
function controlled(answer: (control: Control, message: FromNetstack) => void = () => {}) {
  let sink: ChannelSink | undefined;
  const written: string[][] = [];
  const taken: string[] = [];
  let ended = false;
  const channel: ByteChannel = {
    start: (receiver) => void (sink = receiver),
    write: (bytes) => written.push(typesIn(bytes)) > 0,
    close: () => void (ended = true),
  };
  const control: Control = new Control(channel, CONFIG, (message) => {
    taken.push(`${message.t} after ${written.flat().length}`);
    answer(control, message);
  });
  return {
    control,
    written,
    taken,
    ended: () => ended,
    says: (...messages: readonly object[]) => sink?.data(frames(...messages)),
    leaves: () => sink?.close(),
  };
}

/** Whether a promise is settled: its value, its error, or "pending". */
function stateOf(promise: Promise<unknown>): Promise<unknown> {
  return Promise.race([promise.catch((error) => error), Promise.resolve().then(() => "pending")]);
}

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

test("netstack is configured when it has said hello, and serves when it says so", async () => {
  const { control, written, says, ended } = controlled();
  expect(written).toEqual([]);
  says(HELLO);
  expect(written).toEqual([["config"]]);
  expect(await stateOf(control.ready)).toBe("pending");
  says({ t: "ready" });
  expect(await stateOf(control.ready)).toBeUndefined();
  expect([await stateOf(control.closed), ended()]).toEqual(["pending", false]);
  control.close();
  expect([await control.closed, ended()]).toEqual([undefined, true]);
});

test.each<[string, readonly object[], string, string]>([
  [
    "another version",
    [{ ...HELLO, v: PROTOCOL_VERSION + 1 }],
    "PROTOCOL",
    "another protocol version",
  ],
  ["anything before it says hello", [{ t: "ready" }], "PROTOCOL", "another protocol version"],
  ["a word that is none", [HELLO, { t: "sesame" }], "PROTOCOL", ""],
  [
    "that it gives up",
    [HELLO, { t: "fatal", message: "no\u001b[2J" }],
    "NETSTACK_LOST",
    "gave up: no\\u{1b}[2J",
  ],
])("a netstack that says %s is used no further", async (_, messages, code, words) => {
  const { control, says, ended, taken } = controlled();
  says(...messages, { ...FLOW, id: 1 });
  const error = await control.closed;
  expect(error?.code).toBe(code as never);
  expect(error?.message).toContain(words);
  expect(await stateOf(control.ready)).toBe(error);
  expect([taken, ended()]).toEqual([[], true]);
});

test("the end of the stream is netstack's end, at any time", async () => {
  for (const said of [[], [HELLO], [HELLO, { t: "ready" }]]) {
    const { control, says, leaves } = controlled();
    says(...said);
    leaves();
    expect((await control.closed)?.code).toBe("NETSTACK_LOST");
  }
});

test("a netstack that was asked to end may say what it has to say yet, and its end is no fault", async () => {
  const { control, says, leaves, written, taken } = controlled();
  says(HELLO, { t: "ready" });
  control.finish();
  control.finish();
  await Promise.resolve();
  expect(written).toEqual([["config"], ["end"]]);
  says({ t: "limit", what: "flows", count: 1 });
  expect([taken.length, await stateOf(control.closed)]).toEqual([1, "pending"]);
  leaves();
  expect(await stateOf(control.closed)).toBeUndefined();
});

test("a netstack that has not said hello is not asked to end", async () => {
  const { control, ended } = controlled();
  control.finish();
  expect([await stateOf(control.closed), ended()]).toEqual([undefined, true]);
});

test("a start that is given up has no network", async () => {
  const { control, says, written } = controlled();
  says(HELLO);
  control.close();
  expect(await stateOf(control.ready)).toMatchObject({ code: "STOPPED" });
  control.send({ t: "policy", epoch: 2 });
  await Promise.resolve();
  expect(written).toEqual([["config"]]);
});

test("answers of a burst leave in one write, before the notice that came with the questions is read", () => {
  const { says, written, taken } = controlled((control, message) => {
    if (message.t === "flow") {
      control.send({ t: "verdict", id: message.id, action: "deny", epoch: 1 });
    }
  });
  says(HELLO, { t: "ready" });
  const flows = [1, 2, 3].map((id) => ({ ...FLOW, id }));
  says(...flows, { t: "limit", what: "flows", count: 1 }, { t: "pong", n: 1 });
  expect(written).toEqual([["config"], ["verdict", "verdict", "verdict"]]);
  expect(taken).toEqual(["flow after 1", "flow after 1", "flow after 1", "limit after 1"]);
});

test("what sbx closes hears no more of what came in the same bytes", () => {
  const { says, taken } = controlled((control) => control.close());
  says(HELLO, { ...FLOW, id: 1 }, { ...FLOW, id: 2 });
  expect(taken).toHaveLength(1);
});

test("ten pings without a word are a netstack that hangs, and a word is one that lives", async () => {
  const { control, says, written } = controlled();
  says(HELLO, { t: "ready" });
  for (let seconds = 0; seconds < 60; seconds += 9) {
    jest.advanceTimersByTime(9_000);
    says({ t: "pong", n: 1 });
  }
  expect(await stateOf(control.closed)).toBe("pending");
  expect(written.flat().filter((type) => type === "ping").length).toBeGreaterThan(50);
  jest.advanceTimersByTime(11_000);
  expect(await control.closed).toMatchObject({
    code: "NETSTACK_LOST",
    message: "Cannot go on: netstack does not answer",
  });
});

test("what was sent is carried out when netstack answers a ping that came behind it, or is gone", async () => {
  const { control, says } = controlled();
  says(HELLO, { t: "ready" });
  jest.advanceTimersByTime(1_000);
  const [first, second] = [control.carriedOut(), control.carriedOut()];
  says({ t: "pong", n: 1, fromGuest: 10, toGuest: 20 });
  await Promise.resolve();
  expect([await stateOf(first), await stateOf(second)]).toEqual(["pending", "pending"]);
  expect(control.traffic).toEqual({ fromGuest: 10, toGuest: 20 });
  says({ t: "pong", n: 2 });
  await first;
  expect(await stateOf(second)).toBe("pending");
  control.close();
  await second;
  await control.carriedOut();
});

import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { SbxError } from "../../lib/base/errors.ts";
import { Pins } from "../../lib/dns/pins.ts";
import type { FlowEnd, FromNetstack, ToNetstack } from "../../lib/flow/control_message.ts";
import type { FlowEvent } from "../../lib/flow/flow_event.ts";
import { FlowTable } from "../../lib/flow/flow_table.ts";
import type { FirstEnd, FlowInfo } from "../../lib/judge/flow_info.ts";
import { type Snapshot, snapshotOf } from "../../lib/judge/snapshot.ts";
import { compilePolicy } from "../../lib/policy/decide/compile.ts";
import type { Policy } from "../../lib/policy/model/policy.ts";
import { NO_SECRETS } from "../../lib/policy/model/secret.ts";
import { DEFAULT_TLS } from "../../lib/policy/model/tls_settings.ts";
import { parseRule } from "../../lib/policy/text/grammar.ts";
import { readInterception } from "../../lib/tls/interception.ts";
import vectors from "../vectors/client_hellos.json" with { type: "json" };

/** States api.allowed.test. */
const HELLO = Buffer.from(vectors[0]?.bytes ?? "", "base64");

const FLOW: FlowInfo = {
  proto: "tcp",
  dir: "outbound",
  src: "192.168.127.2",
  sport: 40_000,
  dst: "93.184.216.34",
  dport: 443,
};

function policyOf(...rules: readonly string[]): Policy {
  return {
    network: true,
    rules: rules.map(parseRule),
    defaults: { outbound: "allow", inbound: "allow" },
    denyWith: "drop",
  };
}

const NOWHERE = { addresses: [], links: [] };

/** A table with flow 1 handed over for interception. */
function intercepting() {
  const pins = new Pins();
  const sent: ToNetstack[] = [];
  const events: FlowEvent[] = [];
  const interception = readInterception({ ...DEFAULT_TLS, intercept: true }, NO_SECRETS);
  let snapshot: Snapshot = snapshotOf({ policy: policyOf(), interception }, NOWHERE, pins);
  const table = new FlowTable({
    snapshot: () => snapshot,
    control: { send: (message) => void sent.push(message) },
    pins,
    onEvent: (event) => void events.push(event),
  });
  table.take({ t: "flow", id: 1, epoch: 1, ...FLOW });
  table.take({ t: "first", id: 1, data: HELLO, end: "complete" });
  const enter = (...rules: readonly string[]) => {
    const generation = snapshot.generation + 1;
    snapshot = { ...snapshot, compiled: compilePolicy(policyOf(...rules)), generation };
    table.enforce(table.judged(snapshot));
  };
  return { table, sent, events, enter };
}

/** What whoever intercepts flow 1 is given. */
function handed(table: FlowTable) {
  const flow = table.handed(1, FLOW);
  return flow?.serve === "interception" ? flow.flow : null;
}

describe("an intercepted flow", () => {
  test("is handed over with what its guest said, and opens when sbx has dialled", () => {
    const { table, sent, events } = intercepting();
    expect(sent.map((message) => "action" in message ? message.action : message.t))
      .toEqual(["inspect", "redirect"]);
    expect(handed(table)?.hello.sni).toBe("api.allowed.test");
    table.dialled(1, "93.184.216.34:443");
    expect(events).toMatchObject([{ kind: "opened", ruling: { tls: "intercepted" } }]);
  });

  test("is cut by a policy that no longer allows it, and handed to nobody from then on", () => {
    const { table, sent, events, enter } = intercepting();
    enter("deny@api.allowed.test");
    expect(sent.at(-1)).toEqual({ t: "kill", id: 1 });
    expect(events).toMatchObject([{ kind: "revoked", ruling: { reason: "rule", rule: 0 } }]);
    expect(table.handed(1, FLOW)).toBeNull();
  });

  test("lives on, still as an intercepted one, under a policy that allows it", () => {
    const { table, sent, enter } = intercepting();
    enter("deny@evil.test", "allow@any");
    expect(sent.filter(({ t }) => t === "kill")).toEqual([]);
    expect(handed(table)?.ruling).toMatchObject({ rule: 1, tls: "intercepted" });
  });

  test.each<[what: string, ours: FlowEnd | undefined, theirs: FlowEnd, told: FlowEnd]>([
    ["sbx knows how it ended", "eof", "reset-upstream", "eof"],
    ["the server could not be reached", "refused", "reset-upstream", "refused"],
    ["netstack ended it", "reset-guest", "killed", "killed"],
    ["sbx has nothing to say", undefined, "reset-guest", "reset-guest"],
  ])("ends as it did when %s, whoever tells it first", (_what, ours, theirs, told) => {
    const closed = { t: "closed", id: 1, up: 1, down: 2, ms: 3, end: theirs } as const;
    for (const first of ["sbx", "netstack"]) {
      const { table, events } = intercepting();
      expect(table.handed(1, FLOW)).not.toBeNull();
      if (first === "netstack") table.take(closed);
      table.ended(1, ours);
      if (ours !== undefined) table.ended(1, "idle"); // too late to be the end
      if (first === "sbx") table.take(closed);
      expect(events).toMatchObject([{ kind: "closed", end: told }]);
    }
  });

  test("whose end only netstack has told is not lost when the network ends", () => {
    const { table, events } = intercepting();
    expect(table.handed(1, FLOW)).not.toBeNull();
    table.take({ t: "closed", id: 1, up: 1, down: 2, ms: 3, end: "reset-guest" });
    expect(events).toEqual([]);
    table.close();
    expect(events).toMatchObject([{ kind: "closed", end: "reset-guest" }]);
  });

  test("that sbx refuses is told of once, and its end still counts", () => {
    const { table, events } = intercepting();
    expect(table.handed(1, FLOW)).not.toBeNull();
    table.refuse(1, { reason: "upstream-untrusted", detail: "expired" });
    table.refuse(1, { reason: "mtls" });
    table.take({ t: "closed", id: 1, up: 1, down: 2, ms: 3, end: "eof" });
    table.ended(1, "eof");
    expect(events).toMatchObject([
      { kind: "denied", ruling: { reason: "upstream-untrusted", detail: "expired" } },
      { kind: "closed", up: 1, down: 2, end: "denied" },
    ]);
    expect(table.size).toBe(0);
  });
});

/** The same hello for a name of the same length. */
const OTHER = Buffer.from(
  HELLO.toString("latin1").replace(/allowed/i, "anybody"),
  "latin1",
);

/** A table with flow 1 allowed by its hello, which nobody intercepts. */
function passing() {
  const sent: ToNetstack[] = [];
  const events: FlowEvent[] = [];
  const snapshot = snapshotOf({ policy: policyOf("deny@evil.test") }, NOWHERE, new Pins());
  const table = new FlowTable({
    snapshot: () => snapshot,
    control: { send: (message) => void sent.push(message) },
    pins: new Pins(),
    onEvent: (event) => void events.push(event),
  });
  table.take({ t: "flow", id: 1, epoch: 1, ...FLOW });
  table.take({ t: "first", id: 1, data: HELLO, end: "complete" });
  table.take({ t: "opened", id: 1, dial: "93.184.216.34:443" });
  const again = (data: Uint8Array, end: FirstEnd = "complete") => {
    table.take({ t: "first", id: 1, data, end });
    return sent.at(-1);
  };
  return { again, events, table };
}

describe("a second hello of a flow that passed by its first", () => {
  test("passes with the same name", () => {
    expect(passing().again(HELLO)).toMatchObject({ t: "verdict", action: "allow" });
  });

  test.each<[string, Uint8Array, FirstEnd]>([
    ["another name, which policy would allow", OTHER, "complete"],
    ["no hello", Buffer.from("GET / HTTP/1.1\r\nHost: api.allowed.test\r\n\r\n"), "complete"],
    ["half a hello", HELLO.subarray(0, 100), "complete"],
    ["nothing", new Uint8Array(), "complete"],
    ["the same name, to a server that does not speak TLS", HELLO, "plain"],
  ])("is refused with %s", (_what, data, end) => {
    const { again, events, table } = passing();
    expect(again(data, end)).toMatchObject({ t: "verdict", action: "deny" });
    table.take({ t: "closed", id: 1, up: 1, down: 2, ms: 3, end: "denied" });
    expect(events).toMatchObject([
      { kind: "opened" },
      { kind: "denied", ruling: { reason: "sni-invalid" } },
      { kind: "closed", end: "denied" },
    ]);
  });
});

describe("netstack, about a flow", () => {
  test("that was cut, hears no once more, whatever the bytes say", () => {
    const { table, sent, events, enter } = intercepting();
    enter("deny@api.allowed.test");
    table.take({ t: "first", id: 1, data: HELLO, end: "complete" });
    expect(sent.at(-1)).toMatchObject({ t: "verdict", id: 1, action: "deny", epoch: 2 });
    expect(events).toHaveLength(1);
  });

  test.each<[string, FromNetstack]>([
    ["opened what sbx is to serve", { t: "opened", id: 1, dial: "93.184.216.34:443" }],
    ["asks about bytes that it was not to read", {
      t: "first",
      id: 1,
      data: HELLO,
      end: "complete",
    }],
  ])("breaks the protocol when it %s", (_what, message) => {
    const { table, events } = intercepting();
    expect(() => table.take(message)).toThrow(SbxError);
    expect(events).toEqual([]);
  });

  test("breaks the protocol when it asks anew about one that is open", () => {
    const { table } = passing();
    expect(() => table.take({ t: "flow", id: 1, epoch: 1, ...FLOW })).toThrow(SbxError);
  });

  test("that is over, is not listened to", () => {
    const { table, events } = intercepting();
    table.take({ t: "closed", id: 1, up: 0, down: 0, ms: 1, end: "limit" });
    table.take({ t: "opened", id: 1, dial: "93.184.216.34:443" });
    table.take({ t: "closed", id: 1, up: 0, down: 0, ms: 1, end: "eof" });
    expect(events).toMatchObject([{ kind: "closed", end: "limit", opened: false }]);
  });
});

describe("a flow to the resolver", () => {
  const QUESTION: FlowInfo = { ...FLOW, proto: "udp", dst: "9.9.9.9", dport: 53 };

  test("is served as one, whatever policy says, and even when its repeated ruling is read late", () => {
    const { table, enter } = intercepting();
    enter("deny@any");
    expect(table.handed(2, QUESTION)).toEqual({ serve: "dns" });
    table.take({ t: "cached", id: 2, action: "redirect", ...QUESTION });
    expect(table.handed(2, QUESTION)).toEqual({ serve: "dns" });
    enter("deny@any", "deny@all.test");
    expect(table.handed(2, QUESTION)).toEqual({ serve: "dns" });
  });

  test("is nobody's when it is another, of which nothing is known", () => {
    const { table } = intercepting();
    expect(table.handed(2, FLOW)).toBeNull();
    expect(table.handed(3, { ...QUESTION, dir: "inbound" })).toBeNull();
  });
});

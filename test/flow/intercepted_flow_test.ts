import { describe, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { Pins } from "../../lib/dns/pins.ts";
import type { FlowEnd, FlowInfo, ToNetstack } from "../../lib/flow/control_message.ts";
import { type FlowEvent, FlowTable } from "../../lib/flow/flow_table.ts";
import type { Court } from "../../lib/flow/judge.ts";
import { compilePolicy } from "../../lib/policy/compile.ts";
import { parseRule } from "../../lib/policy/grammar.ts";
import { NameSet } from "../../lib/policy/name_set.ts";
import { DEFAULT_TLS } from "../../lib/policy/tls_settings.ts";
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

function compiled(...rules: readonly string[]) {
  return compilePolicy({
    network: true,
    rules: rules.map(parseRule),
    defaults: { outbound: "allow", inbound: "allow" },
    denyWith: "drop",
  });
}

/** A table with flow 1 handed over for interception. */
function intercepting() {
  const pins = new Pins();
  const sent: ToNetstack[] = [];
  const events: FlowEvent[] = [];
  let court: Court = {
    compiled: compiled(),
    pins,
    blocked: new NameSet(),
    doh: null,
    tls: readInterception({ ...DEFAULT_TLS, intercept: true }),
    hosts: new Set(),
    gateways: new Set(),
    epoch: 1,
  };
  const table = new FlowTable({
    court: () => court,
    control: { send: (message) => void sent.push(message) },
    pins,
    onEvent: (event) => void events.push(event),
  });
  table.take({ t: "flow", id: 1, epoch: 1, ...FLOW });
  table.take({ t: "first", id: 1, data: HELLO, end: "complete" });
  const enter = (...rules: readonly string[]) => {
    court = { ...court, compiled: compiled(...rules), epoch: court.epoch + 1 };
    table.judgeAgain();
  };
  return { table, sent, events, enter };
}

describe("an intercepted flow", () => {
  test("is handed over with what its guest said, and opens when sbx has dialled", () => {
    const { table, sent, events } = intercepting();
    expect(sent.map((message) => "action" in message ? message.action : message.t))
      .toEqual(["inspect", "redirect"]);
    expect(table.intercepted(1)?.hello.sni).toBe("api.allowed.test");
    table.dialled(1, "93.184.216.34:443");
    expect(events).toMatchObject([{ kind: "opened", ruling: { tls: "intercepted" } }]);
  });

  test("is cut by a policy that no longer allows it, and handed to nobody from then on", () => {
    const { table, sent, events, enter } = intercepting();
    enter("deny@api.allowed.test");
    expect(sent.at(-1)).toEqual({ t: "kill", id: 1 });
    expect(events).toMatchObject([{ kind: "revoked", ruling: { reason: "rule", rule: 0 } }]);
    expect(table.intercepted(1)).toBeNull();
  });

  test("lives on, still as an intercepted one, under a policy that allows it", () => {
    const { table, sent, enter } = intercepting();
    enter("deny@evil.test", "allow@any");
    expect(sent.filter(({ t }) => t === "kill")).toEqual([]);
    expect(table.intercepted(1)?.ruling).toMatchObject({ rule: 1, tls: "intercepted" });
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
      expect(table.intercepted(1)).not.toBeNull();
      if (first === "netstack") table.take(closed);
      table.ended(1, ours);
      if (ours !== undefined) table.ended(1, "idle"); // too late to be the end
      if (first === "sbx") table.take(closed);
      expect(events).toMatchObject([{ kind: "closed", end: told }]);
    }
  });

  test("whose end only netstack has told is not lost when the network ends", () => {
    const { table, events } = intercepting();
    expect(table.intercepted(1)).not.toBeNull();
    table.take({ t: "closed", id: 1, up: 1, down: 2, ms: 3, end: "reset-guest" });
    expect(events).toEqual([]);
    table.close();
    expect(events).toMatchObject([{ kind: "closed", end: "reset-guest" }]);
  });

  test("that sbx refuses is told of once, and its end still counts", () => {
    const { table, events } = intercepting();
    table.refuse(1, { reason: "upstream-untrusted", detail: "expired" });
    table.refuse(1, { reason: "mtls" });
    table.take({ t: "closed", id: 1, up: 1, down: 2, ms: 3, end: "eof" });
    expect(events).toMatchObject([
      { kind: "denied", ruling: { reason: "upstream-untrusted", detail: "expired" } },
      { kind: "closed", up: 1, down: 2 },
    ]);
    expect(table.size).toBe(0);
  });
});

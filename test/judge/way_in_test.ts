/** The way in of whoever runs the guest: open under every policy, and to nobody else. */
import { expect, test } from "bun:test";
import { judgeOpenFlow } from "../../lib/judge/open_flow.ts";
import type { FlowInfo } from "../../lib/judge/flow_info.ts";
import { judgeOpening } from "../../lib/judge/opening.ts";
import { rulesOf, snapshotOf } from "../../lib/judge/snapshot.ts";
import { NetworkPolicy } from "../../lib/mod.ts";

const none = NetworkPolicy.preset("none");
const pins = { namesOf: () => [], has: () => false };
const snapshot = snapshotOf({ policy: none, wayIn: 22 }, { addresses: [], links: [] }, pins);
const way: FlowInfo = {
  proto: "tcp",
  dir: "inbound",
  src: "127.0.0.1",
  sport: 50_000,
  dst: "192.168.5.15",
  dport: 22,
  ref: 1,
};

test("this machine's loopback gets in where nothing else passes", () => {
  expect(judgeOpening(snapshot, way).action).toBe("allow");
});

test("another policy leaves it open, and what came in there", () => {
  const next = { ...snapshot, ...rulesOf({ policy: none }), generation: 2 };
  expect(judgeOpening(next, way).action).toBe("allow");
  const open = { info: way, stated: undefined, requested: new Set<string>(), proof: undefined };
  expect(judgeOpenFlow(next, { ...open, passage: "unread" }).action).toBe("allow");
});

test.each(
  [
    ["from elsewhere", { src: "192.0.2.7" }],
    ["from the loopback of IPv6, where it is not published", { src: "::1" }],
    ["to another port", { dport: 23 }],
    ["over UDP", { proto: "udp" }],
    ["of the guest's own", { dir: "outbound", dst: "127.0.0.1" }],
  ] as const,
)("a flow %s is the policy's", (_what, change) => {
  expect(judgeOpening(snapshot, { ...way, ...change }).action).toBe("deny");
});

test("there is none unless somebody names it", () => {
  const plain = snapshotOf({ policy: none }, { addresses: [], links: [] }, pins);
  expect(judgeOpening(plain, way).action).toBe("deny");
});

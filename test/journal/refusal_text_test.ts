import { expect, test } from "bun:test";
import type { Exchange, Refusal } from "../../lib/http/exchange.ts";
import { flowRefusal, requestRefusal } from "../../lib/journal/refusal_text.ts";
import type { FlowInfo } from "../../lib/judge/flow_info.ts";
import { snapshotOf } from "../../lib/judge/snapshot.ts";
import { fixedPins } from "../../lib/policy/model/fixed_pins.ts";
import { NO_SECRETS } from "../../lib/policy/model/secret.ts";
import { DEFAULT_TLS } from "../../lib/policy/model/tls_settings.ts";
import { parseRule } from "../../lib/policy/text/grammar.ts";
import { readInterception } from "../../lib/tls/interception.ts";

const INFO: FlowInfo = {
  proto: "tcp",
  dir: "outbound",
  src: "192.168.127.2",
  sport: 40_000,
  dst: "93.184.216.34",
  dport: 443,
};
const POLICY = {
  network: true,
  rules: [parseRule("deny@bad.cdn.test")],
  defaults: { outbound: "allow", inbound: "allow" },
  denyWith: "drop",
} as const;
const PINS = fixedPins([
  { name: "bad.cdn.test", address: INFO.dst },
  { name: "a.test", address: INFO.dst },
]);
const interception = readInterception({ ...DEFAULT_TLS, intercept: true }, NO_SECRETS);
const MACHINE = { addresses: [], links: [] };
const SNAPSHOT = snapshotOf({ policy: POLICY, interception }, MACHINE, PINS);
const OPEN = snapshotOf({ policy: POLICY }, MACHINE, PINS);
/** Nothing passes, and nothing is intercepted. */
const CLOSED = snapshotOf(
  { policy: { ...POLICY, rules: [], defaults: { outbound: "deny", inbound: "deny" } } },
  MACHINE,
  PINS,
);

test.each<[
  what: string,
  scheme: "http" | "https",
  request: Exchange["request"],
  refused: Refusal,
  expected: { readonly target: string; readonly because: string; readonly allow?: string },
]>([
  [
    "for another host than its session names the request",
    "https",
    { method: "GET", host: "bad.cdn.test", path: "/a" },
    { reason: "host-mismatch", detail: "bad.cdn.test" },
    {
      target: "GET https://bad.cdn.test/a",
      because: "host-mismatch, the request is for another host than its connection (bad.cdn.test)",
    },
  ],
  [
    "with a refused method does, too",
    "https",
    { method: "TRACE", host: "good.cdn.test", path: "/" },
    { reason: "method", detail: "TRACE" },
    {
      target: "TRACE https://good.cdn.test/",
      because: "method, the method is not for servers (TRACE)",
    },
  ],
  [
    "that a rule denies names rule and flag",
    "http",
    { method: "POST", host: "bad.cdn.test", path: "/form" },
    { reason: "rule", rule: 0 },
    {
      target: "POST http://bad.cdn.test/form",
      because: "rule 0, deny@bad.cdn.test",
      allow: "--allow bad.cdn.test:443",
    },
  ],
  [
    "for an address is opened by its address",
    "http",
    { method: "GET", host: "93.184.216.34", path: "/" },
    { reason: "default" },
    {
      target: "GET http://93.184.216.34/",
      because: "default, no rule allows it",
      allow: "--allow 93.184.216.34:443",
    },
  ],
  [
    "with a terminal's sequences in its path is shown without them",
    "https",
    { method: "GET", host: "bad.cdn.test", path: "/\u009b31m" },
    { reason: "host-mismatch" },
    {
      target: "GET https://bad.cdn.test/\\u{9b}31m",
      because: "host-mismatch, the request is for another host than its connection",
    },
  ],
  [
    "that is none names its flow",
    "https",
    undefined,
    { reason: "request-malformed" },
    {
      target: "a request on tcp 93.184.216.34:443",
      because: "request-malformed, the request is malformed",
    },
  ],
])("a request %s", (_what, scheme, request, refused, expected) => {
  const exchange = { ...(request === undefined ? {} : { request }), up: 0, down: 0, ms: 0 };
  const told = requestRefusal(
    refused.reason === "default" ? CLOSED : scheme === "http" ? OPEN : SNAPSHOT,
    { id: 1, info: INFO, scheme },
    exchange,
    refused,
  );
  const { reason: _, rule: __, hint, ...text } = told;
  const allow = hint?.()?.allow;
  expect({ ...text, ...(allow === undefined ? {} : { allow }) }).toEqual(expected);
});

test.each<[string, Parameters<typeof flowRefusal>[2], string | undefined]>([
  [
    "a forged name",
    { action: "deny", reason: "default", name: "evil.test", unpinned: true },
    undefined,
  ],
  ["a pinned name", { action: "deny", reason: "default", name: "a.test" }, "--allow a.test:443"],
  [
    "a client certificate",
    { action: "deny", reason: "mtls", name: "a.test" },
    "--tls-bypass a.test",
  ],
  ["one without a name", { action: "deny", reason: "mtls" }, undefined],
])("a flow refused for %s has the hint that helps, or none", (_what, ruling, allow) => {
  const snapshot = ruling.reason === "default" ? CLOSED : SNAPSHOT;
  expect(flowRefusal(snapshot, INFO, ruling).hint?.()?.allow).toBe(allow);
});

import { expect, test } from "bun:test";
import type { FlowInfo } from "../../lib/flow/control_message.ts";
import type { Exchange, Refusal } from "../../lib/http/exchange.ts";
import { parseRule } from "../../lib/policy/grammar.ts";
import { requestRefusal } from "../../lib/sandbox/refusal_text.ts";

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
  const told = requestRefusal(POLICY, { id: 1, info: INFO, scheme }, exchange, refused);
  const { reason: _, rule: __, ...text } = told;
  expect(text).toEqual(expected);
});

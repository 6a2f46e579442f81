/**
 * Random policies, flows and pins for property tests, drawn from pools small enough that rules and
 * flows meet.
 *
 * @module
 */

import fc from "fast-check";
import { parseAddress, parseCidr } from "../../lib/base/address.ts";
import { GROUPS } from "../../lib/policy/model/groups.ts";
import type { Destination, FlowQuery, Policy, Rule } from "../../lib/policy/model/policy.ts";
import { checkScope, PROTOCOLS } from "../../lib/policy/model/ports.ts";
import { PolicyFault } from "../../lib/policy/text/fault.ts";

const ADDRESSES = [
  "93.184.216.34",
  "93.184.216.35",
  "10.0.0.5",
  "127.0.0.1",
  "169.254.169.254",
  "192.168.127.1",
  "224.0.0.251",
  "255.255.255.255",
  "151.101.9.2",
  "2606:4700:9::2",
  "fd12::9",
  "ff02::fb",
  "64:ff9b::a00:5",
  "64:ff9b::5db8:d822",
  "64:ff9b::9765:902",
  "2002:e000:fb::1",
  "::10.0.0.5", // IPv4-compatible
  "::ffff:0:10.0.0.5", // IPv4-translated
  "::ffff:93.184.216.34", // IPv4-mapped: the same address
  "2001:0:4136:e378:8000:63bf:f5ff:fffa", // Teredo, of 10.0.0.5
  "2606:2800:220::5efe:a00:5", // ISATAP
  "fe80::200:5efe:93.184.216.34",
  "64:ff9b:1::a00:5", // local-use NAT64
  "::1",
].map((text) => parseAddress(text)?.text ?? text);

const CIDRS = [
  "0.0.0.0/0",
  "::/0",
  "10.0.0.0/8",
  "93.184.216.34/32",
  "93.184.216.0/24",
  "93.184.216.34/31",
  "151.101.9.2/32",
  "151.101.0.0/16",
  "224.0.0.0/4",
  "224.0.0.0/3",
  "240.0.0.0/4",
  "64:ff9b::/96",
  "64:ff9b::9765:902/128",
  "2606:4700:9::/64",
  "ff00::/8",
  "127.0.0.0/8",
].map((text) => parseCidr(text)?.text ?? text);

const NAMES = [
  "a.example.com",
  "b.example.com",
  "example.com",
  "badexample.com",
  "x.a.example.com",
];
const SUFFIXES = ["example.com", "a.example.com"];
const PORTS = [1, 22, 53, 80, 443, 8000, 65535];

const destination: fc.Arbitrary<Destination> = fc.oneof(
  fc.constant<Destination>({ kind: "any" }),
  fc.constantFrom(...CIDRS).map((cidr): Destination => ({ kind: "cidr", cidr })),
  fc.constantFrom(...NAMES).map((name): Destination => ({ kind: "domain", name })),
  fc.constantFrom(...SUFFIXES).map((suffix): Destination => ({ kind: "suffix", suffix })),
  fc.constantFrom(...GROUPS).map((group): Destination => ({ kind: "group", group })),
);

const range = fc.tuple(fc.constantFrom(...PORTS), fc.constantFrom(...PORTS))
  .map(([one, other]) => ({ from: Math.min(one, other), to: Math.max(one, other) }));

export const anyRule: fc.Arbitrary<Rule> = fc.record({
  action: fc.constantFrom("allow", "deny"),
  direction: fc.constantFrom("outbound", "outbound", "inbound", "both"),
  destination,
  protocols: fc.oneof(fc.constant([]), fc.subarray([...PROTOCOLS], { minLength: 1 })),
  ports: fc.oneof(fc.constant([]), fc.array(range, { minLength: 1, maxLength: 3 })),
}).filter(canMatch);

function canMatch(rule: Rule): boolean {
  try {
    checkScope(rule.action, rule.destination, rule);
    return true;
  } catch (fault) {
    if (fault instanceof PolicyFault) return false;
    throw fault;
  }
}

const action = fc.constantFrom("allow" as const, "deny" as const);

export const anyPolicy: fc.Arbitrary<Policy> = fc.record({
  network: fc.constant(true),
  rules: fc.array(anyRule, { maxLength: 30, size: "max" }),
  defaults: fc.record({ outbound: action, inbound: action }),
  denyWith: fc.constantFrom("drop", "reject"),
});

export const anyPins = fc.array(
  fc.record({ name: fc.constantFrom(...NAMES), address: fc.constantFrom(...ADDRESSES) }),
  { maxLength: 6 },
);

export const anyHosts = fc.subarray([
  "192.168.127.1",
  "151.101.9.2",
  "2606:4700:9::2",
  "127.0.0.1",
  "::1",
]).map((addresses) => new Set(addresses));

export const anyFlow: fc.Arbitrary<FlowQuery> = fc.record({
  direction: fc.constantFrom("outbound" as const, "outbound" as const, "inbound" as const),
  protocol: fc.constantFrom(...PROTOCOLS),
  address: fc.constantFrom(...ADDRESSES),
  port: fc.constantFrom(...PORTS, 54, 444),
  name: fc.option(fc.constantFrom(...NAMES), { nil: undefined }),
  phase: fc.constantFrom("opening" as const, "final" as const),
}).map(({ port, name, ...flow }) => ({
  ...flow,
  ...(flow.protocol === "tcp" || flow.protocol === "udp" ? { port } : {}),
  ...(name === undefined ? {} : { name }),
}));

export const anyName = fc.constantFrom(...NAMES);

import { expect, test } from "bun:test";
import { SbxError } from "../../lib/base/errors.ts";
import { Destination, DestinationGroup } from "../../lib/policy/model/destination.ts";
import { Protocol } from "../../lib/policy/model/policy.ts";
import { PortRange, Rule } from "../../lib/policy/model/rule.ts";

test("constructors return the canonical plain value", () => {
  expect(Destination.domain("API.Example.COM.")).toEqual({
    kind: "domain",
    name: "api.example.com",
  });
  expect(Destination.domainSuffix("*.Example.com")).toEqual({
    kind: "suffix",
    suffix: "example.com",
  });
  expect(Destination.cidr("::ffff:10.0.0.1")).toEqual({ kind: "cidr", cidr: "10.0.0.1/32" });
  expect(Rule.denyInbound(Destination.group(DestinationGroup.Private))).toEqual({
    action: "deny",
    direction: "inbound",
    destination: { kind: "group", group: "private" },
    protocols: [],
    ports: [],
  });
  expect(
    Rule.allowOutbound(Destination.any(), {
      protocols: [Protocol.Tcp],
      ports: [443, PortRange.range(8000, 8010)],
    }),
  ).toEqual({
    action: "allow",
    direction: "outbound",
    destination: { kind: "any" },
    protocols: ["tcp"],
    ports: [{ from: 443, to: 443 }, { from: 8000, to: 8010 }],
  });
});

test("values are frozen all the way down", () => {
  const rule = Rule.allowOutbound(Destination.any(), { ports: [1] });
  expect([rule, rule.destination, rule.ports, rule.ports[0], rule.protocols].every(Object.isFrozen))
    .toBe(true);
});

test("what cannot be meant is refused by an error that names the call", () => {
  const refused: [() => unknown, string][] = [
    [() => Destination.cidr("10.0.0.0/33"), "Destination.cidr"],
    [() => Destination.domain("10.0.0.1"), "Destination.domain"],
    [() => Destination.domainSuffix(".com"), "Destination.domainSuffix"],
    [() => Destination.group("lan" as DestinationGroup), "Destination.group"],
    [() => Destination.cidr("10.0.0.1/8"), "Destination.cidr"],
    [
      () => Rule.denyOutbound(Destination.any(), { protocols: ["icmpv4"], ports: [80] }),
      "Rule.denyOutbound",
    ],
    [
      () => Rule.allowInbound(Destination.cidr("10.0.0.1"), { protocols: ["icmpv6"] }),
      "Rule.allowInbound",
    ],
    [() => PortRange.single(70000), "PortRange.single"],
    [() => PortRange.range(9, 8), "PortRange.range"],
    [() => Rule.denyOutbound(Destination.any(), { ports: [] }), "Rule.denyOutbound"],
    [
      () => Rule.allowInbound(Destination.any(), { protocols: ["sctp" as Protocol] }),
      "Rule.allowInbound",
    ],
  ];
  for (const [call, name] of refused) {
    expect(call).toThrow(SbxError);
    expect(call).toThrow(`Cannot use ${name}`);
  }
});

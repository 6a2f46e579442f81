/**
 * Rules as a program writes them: plain frozen values, the same that the rule grammar parses to.
 *
 * @module
 */
import { SbxError } from "../../base/errors.ts";
import { optionsOf } from "../../base/misuse.ts";
import { orError } from "../text/fault.ts";
import type {
  Action as ActionValue,
  Destination,
  Direction as DirectionValue,
  PortRange as PortRangeValue,
  Protocol as ProtocolValue,
  Rule as RuleValue,
} from "./policy.ts";
import { portRange, readProtocol } from "./ports.ts";
import { requireRule } from "./require_rule.ts";

export const Action = Object.freeze({ Allow: "allow", Deny: "deny" });
export type Action = ActionValue;

/** `Outbound`: the guest opens the flow. `Inbound`: a peer reaches a published port of the guest. */
export const Direction = Object.freeze({ Outbound: "outbound", Inbound: "inbound" });
export type Direction = DirectionValue;

export const Protocol = Object.freeze({
  Tcp: "tcp",
  Udp: "udp",
  Icmpv4: "icmpv4",
  Icmpv6: "icmpv6",
});
export type Protocol = ProtocolValue;

/** Inclusive on both ends. */
export type PortRange = PortRangeValue;

export const PortRange = Object.freeze({
  /** Every port from `from` to `to`, both included. */
  range(from: number, to: number): PortRange {
    return orError(`use PortRange.range(${from}, ${to})`, () => Object.freeze(portRange(from, to)));
  },

  single(port: number): PortRange {
    return orError(`use PortRange.single(${port})`, () => Object.freeze(portRange(port, port)));
  },
});

/** What narrows a rule. An absent field means every protocol, or every port. */
export interface RuleScope {
  readonly protocols?: readonly Protocol[];
  /** Outbound: destination ports. Inbound: ports of the guest. A rule with ports never matches ICMP. */
  readonly ports?: readonly (PortRange | number)[];
}

export type Rule = RuleValue;

export const Rule = Object.freeze({
  allowOutbound: (destination: Destination, scope?: RuleScope): Rule =>
    rule("allow", "outbound", destination, scope),
  denyOutbound: (destination: Destination, scope?: RuleScope): Rule =>
    rule("deny", "outbound", destination, scope),
  /** Inbound, the destination names the peer that connects. */
  allowInbound: (peer: Destination, scope?: RuleScope): Rule =>
    rule("allow", "inbound", peer, scope),
  denyInbound: (peer: Destination, scope?: RuleScope): Rule => rule("deny", "inbound", peer, scope),
});

function rule(
  action: Action,
  direction: Direction,
  destination: Destination,
  scope: RuleScope = {},
): Rule {
  const call = `Rule.${action}${direction === "inbound" ? "Inbound" : "Outbound"}`;
  const { protocols = [], ports = [] } = optionsOf(call, scope, { protocols: true, ports: true });
  // An empty list reads as "none" to some and "all" to others; refusing it settles the question.
  if (scope.protocols?.length === 0 || scope.ports?.length === 0) {
    throw new SbxError(
      "POLICY_INVALID",
      `Cannot use ${call}: an empty list of protocols or ports`,
      {
        hint: "leave the list out to mean all of them",
      },
    );
  }
  for (const word of protocols) orError(`use ${call}`, () => readProtocol(word));
  const checked = {
    protocols: Object.freeze([...protocols]),
    ports: Object.freeze(
      ports.map((port) =>
        typeof port === "number" ? PortRange.single(port) : PortRange.range(port.from, port.to)
      ),
    ),
  };
  return requireRule(call, Object.freeze({ action, direction, destination, ...checked }));
}

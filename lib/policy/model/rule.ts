/**
 * Rules as a program writes them: plain frozen values, the same that the rule grammar parses to.
 *
 * @module
 */
import { SbxError } from "../../base/errors.ts";
import { optionsOf } from "../../base/misuse.ts";
import { orMisuse } from "../text/fault.ts";
import type {
  Action,
  Destination,
  Direction,
  PortRange as PortRangeValue,
  Protocol,
  Rule as RuleValue,
} from "./policy.ts";
import { portRange, readProtocol } from "./ports.ts";
import { requireRule } from "./require_rule.ts";

/** Inclusive on both ends. */
export type PortRange = PortRangeValue;

/** Makes ranges of ports. */
export interface PortRangeConstructor {
  /**
   * Every port from `from` to `to`, both included.
   *
   * @throws SbxError POLICY_INVALID
   */
  range(from: number, to: number): PortRange;
  /** One port. @throws SbxError POLICY_INVALID */
  single(port: number): PortRange;
}

/** What makes ranges of ports. */
export const PortRange: PortRangeConstructor = Object.freeze({
  range(from: number, to: number): PortRange {
    return orMisuse(`PortRange.range(${from}, ${to})`, () => Object.freeze(portRange(from, to)));
  },
  single(port: number): PortRange {
    return orMisuse(`PortRange.single(${port})`, () => Object.freeze(portRange(port, port)));
  },
});

/** What narrows a rule. An absent field means every protocol, or every port. */
export interface RuleScope {
  /** Protocols that it is about. */
  readonly protocols?: readonly Protocol[];
  /** Outbound: destination ports. Inbound: ports of the guest. A rule with ports never matches ICMP. */
  readonly ports?: readonly (PortRange | number)[];
}

/** One line of a policy. */
export type Rule = RuleValue;

/** Makes rules; each call throws `SbxError` POLICY_INVALID for a rule that could never match. */
export interface RuleConstructor {
  /** The guest may open flows to the destination. */
  allowOutbound(destination: Destination, scope?: RuleScope): Rule;
  /** It may not. */
  denyOutbound(destination: Destination, scope?: RuleScope): Rule;
  /** The peer may connect to published ports of the guest. */
  allowInbound(peer: Destination, scope?: RuleScope): Rule;
  /** It may not. */
  denyInbound(peer: Destination, scope?: RuleScope): Rule;
}

/** What makes rules. */
export const Rule: RuleConstructor = Object.freeze({
  allowOutbound: (destination: Destination, scope?: RuleScope) =>
    rule("allow", "outbound", destination, scope),
  denyOutbound: (destination: Destination, scope?: RuleScope) =>
    rule("deny", "outbound", destination, scope),
  allowInbound: (peer: Destination, scope?: RuleScope) => rule("allow", "inbound", peer, scope),
  denyInbound: (peer: Destination, scope?: RuleScope) => rule("deny", "inbound", peer, scope),
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
  for (const word of protocols) orMisuse(call, () => readProtocol(word));
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

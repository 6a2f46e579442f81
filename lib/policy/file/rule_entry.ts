/**
 * One entry of `rules` in a policy file: the rule line, or the same spelled out.
 *
 *     allow@api.github.com:tcp:443
 *     {action: allow, destination: {domain: api.github.com}, protocol: tcp, ports: [443]}
 *
 * @module
 */

import type { Destination, PortRange, Rule } from "../model/policy.ts";
import { checkScope, distinct, portRange, readPorts, readProtocol } from "../model/ports.ts";
import { readCidr, readDomain, readSuffix } from "../model/target.ts";
import { PolicyFault, within } from "../text/fault.ts";
import { readDirection, readRule } from "../text/grammar.ts";
import type { DestinationShape, PortsShape, RuleShape } from "./schema.ts";

/** Reads either form to the same value; throws a `PolicyFault`. */
export function readRuleEntry(entry: string | RuleShape): Rule {
  if (typeof entry === "string") return readRule(entry);
  const { action, direction, destination, protocol, ports } = entry;
  const target = within("destination", () => readDestination(destination));
  const scope = {
    protocols: protocol === undefined ? [] : distinct([protocol].flat().flatMap(readProtocol)),
    ports: ports === undefined ? [] : within("ports", () => readPortsEntry(ports)),
  };
  within("protocol", () => checkScope(action, target, scope));
  return {
    action,
    direction: direction === undefined ? "outbound" : readDirection(direction),
    destination: target,
    ...scope,
  };
}

/** The spelled-out form of a rule, as plain data that reads back to the same rule. */
export function spellRule(rule: Rule): RuleShape {
  return {
    action: rule.action,
    direction: rule.direction,
    destination: spellDestination(rule.destination),
    ...(rule.protocols.length === 0 ? {} : { protocol: [...rule.protocols] }),
    ...(rule.ports.length === 0 ? {} : {
      ports: rule.ports.map(({ from, to }) => from === to ? from : `${from}-${to}`),
    }),
  };
}

function readDestination(shape: DestinationShape): Destination {
  const kinds = Object.keys(shape);
  if (kinds.length !== 1) {
    throw new PolicyFault(
      kinds.length === 0
        ? "the destination is empty"
        : `the destination is both ${kinds.join(" and ")}`,
      "give exactly one of any, cidr, domain, suffix, group",
    );
  }
  const { cidr, domain, suffix, group } = shape;
  if (cidr !== undefined) return within("cidr", () => readCidr(cidr));
  if (domain !== undefined) return within("domain", () => readDomain(domain));
  if (suffix !== undefined) return within("suffix", () => readSuffix(suffix));
  if (group !== undefined) return { kind: "group", group };
  return { kind: "any" };
}

/** The spelled-out form of a destination. */
export function spellDestination(destination: Destination): DestinationShape {
  switch (destination.kind) {
    case "any":
      return { any: true };
    case "cidr":
      return { cidr: destination.cidr };
    case "domain":
      return { domain: destination.name };
    case "suffix":
      return { suffix: `.${destination.suffix}` };
    case "group":
      return { group: destination.group };
  }
}

function readPortsEntry(entry: PortsShape): PortRange[] {
  if (!Array.isArray(entry)) return readPortItem(entry);
  return entry.flatMap((item, index) => within(index, () => readPortItem(item)));
}

function readPortItem(item: number | string | [number, number]): PortRange[] {
  if (typeof item === "string") return readPorts(item);
  return [typeof item === "number" ? portRange(item, item) : portRange(...item)];
}

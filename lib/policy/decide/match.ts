/**
 * One rule against one flow, with the reason in words. This is the slow, plain reading of the
 * semantics that `explain` walks with; `evaluate` gives the same answers from an index.
 *
 * @module
 */

import { type Address, cidrHas, parseCidr } from "../../base/address.ts";
import { nameHasSuffix } from "../../base/name.ts";
import type { Endpoint } from "../model/endpoint.ts";
import { groupBlocks } from "../model/groups.ts";
import type { Destination, FlowQuery, PinTable, Rule } from "../model/policy.ts";
import { nameMayCome } from "./evaluate.ts";
import { portMatches, protocolMatches } from "./scopes.ts";

/** `maybe`: it depends on a name that the flow may still state. */
export interface Match {
  readonly outcome: "match" | "maybe" | "no";
  /** Completes "because". */
  readonly why: string;
}

export function matchRule(
  rule: Rule,
  query: FlowQuery,
  endpoint: Endpoint,
  pins: PinTable,
): Match {
  if (rule.direction !== "both" && rule.direction !== query.direction) {
    return no(`it is about ${rule.direction} flows`);
  }
  if (!protocolMatches(rule.protocols, query.protocol)) {
    return no(`it is not about ${query.protocol}`);
  }
  if (!portMatches(rule.ports, query.port)) {
    return no(
      query.port === undefined ? "ICMP has no ports" : `it is not about port ${query.port}`,
    );
  }
  switch (rule.destination.kind) {
    case "any":
      return rule.action === "allow" && endpoint.guard !== null
        ? no(`any does not open ${endpoint.guard} addresses`)
        : yes("it is about any destination");
    case "cidr":
    case "group":
      return matchAddress(rule, endpoint);
    case "domain":
    case "suffix":
      return matchName(rule, query, endpoint, pins);
  }
}

function matchAddress(rule: Rule, endpoint: Endpoint): Match {
  const { destination, action } = rule;
  const place = destination.kind === "cidr"
    ? destination.cidr
    : destination.kind === "group"
    ? `group ${destination.group}`
    : "any";
  const { address, leadsTo } = endpoint;
  if (destination.kind === "group" && destination.group === "host") {
    if (endpoint.host) return yes(`${address.text} is an address of the host`);
    if (action === "deny" && endpoint.reachesHost) {
      return yes(`${address.text} embeds an address of the host`);
    }
    return no(`${address.text} is no address of the host`);
  }
  if (destination.kind === "group" && destination.group === "local-network") {
    return matchLocal(action, endpoint);
  }
  const within = narrowest(destination, address);
  if (within !== null) {
    if (action === "deny" || within >= endpoint.leastPrefix) {
      return yes(`${address.text} is in ${place}`);
    }
    return no(
      endpoint.reachesHost
        ? `${address.text} is an address of the host, which ${place} does not open`
        : `${address.text} is a special address, which ${place} does not name`,
    );
  }
  const other = leadsTo.find((one) => narrowest(destination, one) !== null);
  if (action === "deny" && other !== undefined) {
    const how = other.family === address.family ? "is dialled at" : "embeds";
    return yes(`${address.text} ${how} ${other.text}, which is in ${place}`);
  }
  return no(`${address.text} is not in ${place}`);
}

function matchLocal(action: Rule["action"], endpoint: Endpoint): Match {
  const { address, local, reachesLocal, byName } = endpoint;
  if (action === "deny" && reachesLocal) {
    return yes(`${address.text} ${local ? "is" : "leads to an address"} in a network of the host`);
  }
  if (!local) return no(`${address.text} is in no network of the host`);
  return byName
    ? yes(`${address.text} is in a network of the host`)
    : no(`${address.text} is a special address, which group local-network does not open`);
}

/** The longest prefix among the destination's blocks that cover the address. */
function narrowest(destination: Destination, address: Address): number | null {
  const block = destination.kind === "cidr" ? parseCidr(destination.cidr) : null;
  const blocks = destination.kind === "group"
    ? groupBlocks(destination.group)
    : block === null
    ? []
    : [block];
  const prefixes = blocks.filter((each) => cidrHas(each, address)).map((each) => each.prefix);
  return prefixes.length === 0 ? null : Math.max(...prefixes);
}

function matchName(rule: Rule, query: FlowQuery, endpoint: Endpoint, pins: PinTable): Match {
  const { action, destination } = rule;
  const address = endpoint.address.text;
  if (action === "allow" && !endpoint.byName) {
    return no(`a name does not open ${address}, which is special`);
  }
  const stated = query.name;
  if (stated !== undefined) {
    if (!isUnder(stated, destination)) return no(`the flow states ${stated}`);
    if (action === "deny" || pins.has(stated, address)) {
      return yes(`the flow states ${stated}`);
    }
    return no(`the flow states ${stated}, but that name was not resolved to ${address}`);
  }
  const known = [
    address,
    ...(action === "deny" ? endpoint.leadsTo.map(({ text }) => text) : []),
  ]
    .flatMap((text) => [...pins.namesOf(text)]);
  const pinned = known.find((name) => isUnder(name, destination));
  if (nameMayCome(query)) {
    if (action === "deny") return maybe("the flow may state the name");
    if (pinned !== undefined) return maybe(`${pinned} was resolved to ${address}`);
  } else if (pinned !== undefined) {
    return yes(`${pinned} was resolved to ${address}, and the flow states no name`);
  }
  return no(`no such name was resolved to ${address}`);
}

/** Whether a rule about this domain or suffix is about the name. */
export function isUnder(name: string, destination: Destination): boolean {
  if (destination.kind === "domain") return name === destination.name;
  return destination.kind === "suffix" && nameHasSuffix(name, destination.suffix);
}

function yes(why: string): Match {
  return { outcome: "match", why };
}

function maybe(why: string): Match {
  return { outcome: "maybe", why };
}

function no(why: string): Match {
  return { outcome: "no", why };
}

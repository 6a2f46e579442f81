/**
 * What is legal in a policy, but probably not meant.
 *
 * @module
 */

import { cidrHas, parseCidr } from "../../base/address.ts";
import { groupBlocks, isUnroutable } from "../model/groups.ts";
import type { Destination, Policy, Rule } from "../model/policy.ts";
import { formatRule } from "../text/grammar.ts";
import {
  coversDirection,
  coversScope,
  EarlierRules,
  fallsShort,
  keyOf,
  meetsDirection,
  scopeOverlap,
} from "./cover.ts";

/** What a warning is about. */
export type WarningCode =
  | "shadowed" // an earlier rule decides everything this one is about
  | "partly-shadowed" // an earlier allow takes some ports out of this deny
  | "metadata-open" // an allow covers metadata services before they are denied
  | "dns-open" // names beyond those allowed resolve: a way out for data
  | "dns-closed" // no name resolves, because the resolver is an address of the host
  | "never-matches"; // an allow of addresses that nothing opens

/** Something in a policy that does not do what it seems to. */
export interface Warning {
  /** What it is about. */
  readonly code: WarningCode;
  /** Index of the rule that the warning is about. */
  readonly rule: number;
  /** Index of the earlier rule that causes it. */
  readonly by?: number;
  /** One sentence without a full stop. */
  readonly message: string;
}

/** All warnings about a policy, by rule. */
export function warnings(policy: Policy): readonly Warning[] {
  const found: Warning[] = [];
  const earlier = new EarlierRules();
  policy.rules.forEach((rule, index) => {
    found.push(...shadowWarnings(policy, index, earlier));
    if (isFutile(rule)) {
      found.push({
        code: "never-matches",
        rule: index,
        message: `rule ${index} (${formatRule(rule)}) opens nothing: ` +
          "nobody can be reached at these addresses, and they are never dialled",
      });
    }
    earlier.add(index, rule.destination);
  });
  return [...found, ...metadataWarnings(policy), ...dnsWarnings(policy)]
    .sort((one, other) => one.rule - other.rule);
}

function shadowWarnings(policy: Policy, index: number, earlier: EarlierRules): Warning[] {
  const rule = policy.rules[index];
  if (rule === undefined) return [];
  let partly: Warning | undefined;
  for (const by of earlier.containing(rule.destination)) {
    const cover = policy.rules[by];
    if (cover === undefined || fallsShort(cover, rule.destination)) continue;
    const whole = coversDirection(cover, rule) && coversScope(cover, rule);
    const tightens = rule.action === "deny" && cover.action === "allow";
    // A name opens only what it resolved to, but is denied wherever it is stated.
    if (whole && !(tightens && isName(cover.destination))) {
      const message = `rule ${index} (${formatRule(rule)}) never decides: ` +
        `rule ${by} (${formatRule(cover)}) comes first`;
      return [{ code: "shadowed", rule: index, by, message }];
    }
    if (partly !== undefined || !tightens) continue;
    // Ports of the very same destination, allowed before the rest is denied, are an exception.
    if (!whole && keyOf(cover.destination) === keyOf(rule.destination)) continue;
    const overlap = meetsDirection(cover, rule) ? scopeOverlap(cover, rule) : null;
    if (overlap === null) continue;
    const message = `rule ${index} (${formatRule(rule)}) is shadowed for ${overlap}: ` +
      `rule ${by} (${formatRule(cover)}) allows it first` +
      (isName(rule.destination) && !isName(cover.destination)
        ? "; the name does not resolve, but its addresses are reachable"
        : "");
    partly = { code: "partly-shadowed", rule: index, by, message };
  }
  return partly === undefined ? [] : [partly];
}

function metadataWarnings(policy: Policy): Warning[] {
  const denial = policy.rules.findIndex((rule) =>
    rule.action === "deny" && rule.direction !== "inbound" &&
    rule.destination.kind === "group" && rule.destination.group === "metadata"
  );
  const found: Warning[] = [];
  policy.rules.slice(0, Math.max(0, denial)).forEach((rule, index) => {
    if (rule.action !== "allow" || rule.direction === "inbound") return;
    if (!reachesMetadata(rule.destination)) return;
    const message = `rule ${index} (${formatRule(rule)}) opens metadata services ` +
      `that rule ${denial} denies too late`;
    found.push({ code: "metadata-open", rule: denial, by: index, message });
  });
  return found;
}

function reachesMetadata(destination: Destination): boolean {
  const members = groupBlocks("metadata");
  if (destination.kind === "any") return true;
  if (destination.kind === "cidr") {
    const block = parseCidr(destination.cidr);
    // An exact address was written with care; a block that happens to contain one was not.
    return block !== null &&
      members.some((member) => block.prefix < member.prefix && cidrHas(block, member));
  }
  if (destination.kind !== "group" || destination.group === "metadata") return false;
  return groupBlocks(destination.group).some((block) =>
    members.some((member) => cidrHas(block, member))
  );
}

function dnsWarnings(policy: Policy): Warning[] {
  const found: Warning[] = [];
  for (const [index, rule] of policy.rules.entries()) {
    const kind = rule.destination.kind;
    const host = kind === "group" && rule.destination.group === "host";
    if (rule.direction === "inbound" || !(host || kind === "any") || !coversResolver(rule)) {
      continue;
    }
    if (rule.action === "allow") {
      if (policy.defaults.outbound === "deny" && rule.ports.length > 0) {
        const message = `rule ${index} (${formatRule(rule)}) lets every name resolve: ` +
          "data can leave the guest inside the names it asks for";
        found.push({ code: "dns-open", rule: index, message });
      }
    } else if (host) {
      const message = `rule ${index} (${formatRule(rule)}) also denies the guest's resolver, ` +
        "so that no later rule resolves a name; leave out port 53: deny@host:tcp,udp:1-52,54-65535";
      found.push({ code: "dns-closed", rule: index, message });
    }
    // The first rule about the resolver decides; what follows it has no say.
    break;
  }
  return found;
}

function coversResolver(rule: Rule): boolean {
  const udp = rule.protocols.length === 0 || rule.protocols.includes("udp");
  return udp &&
    (rule.ports.length === 0 || rule.ports.some(({ from, to }) => from <= 53 && 53 <= to));
}

function isName(destination: Destination): boolean {
  return destination.kind === "domain" || destination.kind === "suffix";
}

/** An allow of what no allow opens. */
function isFutile({ action, direction, destination }: Rule): boolean {
  if (action === "deny" || direction !== "outbound" || destination.kind !== "cidr") return false;
  const block = parseCidr(destination.cidr);
  return block !== null && block.prefix >= 4 && isUnroutable(block);
}

/**
 * The semantics of a policy written once more, as literally as possible: walk the rules in order
 * and stop at the first that matches. Shares nothing with the index it is compared to but the
 * parsing of addresses and the members of the groups.
 *
 * @module
 */

import { cidrHas, embeddedIPv4, parseAddress, parseCidr } from "../../lib/base/address.ts";
import { groupBlocks } from "../../lib/policy/model/groups.ts";
import type { Action, FlowQuery, Pin, Policy, Rule } from "../../lib/policy/model/policy.ts";

export interface OracleVerdict {
  readonly action: Action;
  readonly rule: number | null;
}

/** The verdict once everything is known that will be. */
export function oracle(
  policy: Policy,
  flow: FlowQuery,
  pins: readonly Pin[],
  hosts: ReadonlySet<string>,
): OracleVerdict {
  for (const [index, rule] of policy.rules.entries()) {
    if (!applies(rule, flow) || !concerns(rule, flow, pins, hosts)) continue;
    const barred = rule.action === "allow" && isBroadcast(flow);
    return barred ? { action: "deny", rule: null } : { action: rule.action, rule: index };
  }
  const special = isBroadcast(flow) || isMulticast(flow);
  return { action: special ? "deny" : policy.defaults[flow.direction], rule: null };
}

/** Every verdict that some name could still lead to, for a flow that has stated none yet. */
export function oracleOutcomes(
  policy: Policy,
  flow: FlowQuery,
  pins: readonly Pin[],
  hosts: ReadonlySet<string>,
  names: readonly string[],
): Set<Action> {
  const flows = [flow, ...names.map((name) => ({ ...flow, name }))];
  return new Set(flows.map((each) => oracle(policy, each, pins, hosts).action));
}

function applies(rule: Rule, flow: FlowQuery): boolean {
  if (rule.direction !== "both" && rule.direction !== flow.direction) return false;
  if (rule.protocols.length > 0 && !rule.protocols.includes(flow.protocol)) return false;
  if (rule.ports.length === 0) return true;
  const port = flow.port;
  return port !== undefined && rule.ports.some(({ from, to }) => port >= from && port <= to);
}

function concerns(
  rule: Rule,
  flow: FlowQuery,
  pins: readonly Pin[],
  hosts: ReadonlySet<string>,
): boolean {
  const spellings = spellingsOf(flow.address);
  const ownSpelling = spellings.slice(0, 1);
  const outward = flow.direction === "outbound";
  const isHost = outward && spellings.some((text) => hosts.has(text));
  const isSpecial = outward && (isBroadcast(flow) || isMulticast(flow));
  const { destination, action } = rule;
  switch (destination.kind) {
    case "any":
      return action === "deny" || !isSpecial;
    case "group":
      if (destination.group === "host") {
        return (action === "deny" ? spellings : ownSpelling).some((text) => hosts.has(text));
      }
      break;
    case "domain":
    case "suffix": {
      if (action === "allow" && (isHost || isSpecial)) return false;
      const under = (name: string) =>
        destination.kind === "domain"
          ? name === destination.name
          : `.${name}`.endsWith(`.${destination.suffix}`);
      const pinned = (name: string, texts: readonly string[]) =>
        pins.some((pin) => pin.name === name && texts.includes(pin.address));
      if (flow.name !== undefined) {
        return under(flow.name) && (action === "deny" || pinned(flow.name, ownSpelling));
      }
      const seen = action === "deny" ? spellings : ownSpelling;
      return pins.some((pin) => under(pin.name) && pinned(pin.name, seen));
    }
  }
  const blocks = destination.kind === "cidr"
    ? [parseCidr(destination.cidr)]
    : groupBlocks(destination.group);
  return (action === "deny" ? spellings : ownSpelling).some((text) =>
    blocks.some((block) => {
      const address = parseAddress(text);
      if (block === null || address === null || !cidrHas(block, address)) return false;
      if (action === "deny" || (!isHost && !isSpecial)) return true;
      if (block.prefix === address.bytes.length * 8) return true;
      // A block that lies inside the special range names it.
      if (isHost) return address.family === 4 && /^(127|0)\./.test(text) && block.prefix >= 8;
      return /^(22[4-9]|23[0-9])\./.test(text) && block.prefix >= 4 ||
        /^ff/.test(text) && block.prefix >= 8;
    })
  );
}

/** The address, then the IPv4 address inside it. */
function spellingsOf(text: string): string[] {
  const address = parseAddress(text);
  const embedded = address === null ? null : embeddedIPv4(address);
  return [text, ...(embedded === null ? [] : [embedded.text])];
}

function isMulticast(flow: FlowQuery): boolean {
  return flow.direction === "outbound" &&
    spellingsOf(flow.address).some((text) => /^(22[4-9]|23[0-9])\.|^ff/.test(text));
}

function isBroadcast(flow: FlowQuery): boolean {
  return flow.direction === "outbound" &&
    spellingsOf(flow.address).some((text) => /^(24[0-9]|25[0-5])\./.test(text));
}

/**
 * The verdict on one flow: the first rule that matches it, else the default, within the guards of
 * `endpoint.ts`.
 *
 * How a rule about a name matches:
 * - allow, name stated: the name is under the rule and pinned to exactly this address. A name alone
 *   proves nothing, the guest chose it.
 * - allow, none stated: a name under the rule is pinned to this address.
 * - deny, name stated: the name is under the rule, pinned or not.
 * - deny, none stated: a name under the rule is pinned to this address.
 *
 * While a TCP flow opens, its name may still come. Then the verdict is the one that every possible
 * name would lead to, or `defer` when names would make a difference.
 *
 * @module
 */

import { type Endpoint, readEndpoint, type Surroundings } from "../model/endpoint.ts";
import type { FlowQuery, PinTable, Verdict } from "../model/policy.ts";
import type { CompiledPolicy, Side } from "./compile.ts";
import { NO_RULE } from "./scopes.ts";

/**
 * Judges one flow. `hostAddresses` are canonical texts: the gateway's and those of the host's
 * interfaces. A query whose address does not parse is denied.
 */
export function evaluate(
  compiled: CompiledPolicy,
  query: FlowQuery,
  pins: PinTable,
  hostAddresses: ReadonlySet<string>,
  around: Surroundings = {},
): Verdict {
  const endpoint = readEndpoint(query, hostAddresses, around);
  if (endpoint === null) return { action: "deny", reason: "unroutable" };
  const side = compiled[query.direction];
  const byAddress = {
    allow: allowByAddress(side, query, endpoint),
    deny: denyByAddress(side, query, endpoint),
  };
  if (nameMayCome(query)) {
    return opening(side, query, endpoint, pins, byAddress);
  }
  const allow = Math.min(byAddress.allow, allowByName(side, query, endpoint, pins));
  const deny = Math.min(byAddress.deny, denyByName(side, query, endpoint, pins));
  return decided(side, query, allow, deny, endpoint);
}

/** Only a TCP client speaks before it is answered, so only its flow can be asked for a name. */
export function nameMayCome(query: FlowQuery): boolean {
  return query.phase === "opening" && query.direction === "outbound" &&
    query.protocol === "tcp" && query.name === undefined;
}

function decided(
  side: Side,
  query: FlowQuery,
  allow: number,
  deny: number,
  endpoint: Endpoint,
): Verdict {
  if (deny < allow) return { action: "deny", reason: "rule", rule: deny };
  // Where no allow leads, whatever rule there is.
  if (endpoint.guard === "unroutable") return { action: "deny", reason: "unroutable" };
  if (allow < deny) return { action: "allow", reason: "rule", rule: allow };
  if (endpoint.guard !== null && isMeantToPass(side, query, endpoint)) {
    return { action: "deny", reason: endpoint.guard };
  }
  const action = side.default;
  return { action, reason: action === "deny" && endpoint.host ? "host" : "default" };
}

/** Whether the flow would pass to an ordinary address, so that only the guard is in its way. */
function isMeantToPass(side: Side, { protocol, port }: FlowQuery, endpoint: Endpoint): boolean {
  return side.default === "allow" || side.allow.any.first(protocol, port) !== NO_RULE ||
    side.allow.firstByAddress(endpoint.address, protocol, port) !== NO_RULE;
}

function allowByAddress(side: Side, query: FlowQuery, endpoint: Endpoint): number {
  const { protocol, port } = query;
  const index = side.allow;
  return Math.min(
    endpoint.guard === null ? index.any.first(protocol, port) : NO_RULE,
    endpoint.host ? index.host.first(protocol, port) : NO_RULE,
    // The host is on its own network, and still has to be named.
    endpoint.local && endpoint.byName ? index.localNetwork.first(protocol, port) : NO_RULE,
    index.firstByAddress(endpoint.address, protocol, port, endpoint.leastPrefix),
  );
}

function denyByAddress(side: Side, query: FlowQuery, endpoint: Endpoint): number {
  const { protocol, port } = query;
  const index = side.deny;
  return Math.min(
    index.any.first(protocol, port),
    endpoint.reachesHost ? index.host.first(protocol, port) : NO_RULE,
    endpoint.reachesLocal ? index.localNetwork.first(protocol, port) : NO_RULE,
    ...[endpoint.address, ...endpoint.leadsTo].map((address) =>
      index.firstByAddress(address, protocol, port)
    ),
  );
}

function allowByName(side: Side, query: FlowQuery, endpoint: Endpoint, pins: PinTable): number {
  if (!side.allow.hasNames || !endpoint.byName) return NO_RULE;
  const { name, protocol, port } = query;
  const address = endpoint.address.text;
  if (name === undefined) return firstPinned(side.allow, query, pins, address);
  return pins.has(name, address) ? side.allow.firstByName(name, protocol, port) : NO_RULE;
}

function denyByName(side: Side, query: FlowQuery, endpoint: Endpoint, pins: PinTable): number {
  if (!side.deny.hasNames) return NO_RULE;
  if (query.name !== undefined) {
    return side.deny.firstByName(query.name, query.protocol, query.port);
  }
  return Math.min(
    ...[endpoint.address, ...endpoint.leadsTo].map(({ text }) =>
      firstPinned(side.deny, query, pins, text)
    ),
  );
}

function firstPinned(
  index: Side["allow"],
  query: FlowQuery,
  pins: PinTable,
  address: string,
): number {
  let first = NO_RULE;
  for (const name of pins.namesOf(address)) {
    first = Math.min(first, index.firstByName(name, query.protocol, query.port));
  }
  return first;
}

/**
 * Rules about names that come before the first match by address may or may not match later. If one
 * of them could turn the outcome, ask for the name; if none could, answer for all names at once.
 */
function opening(
  side: Side,
  query: FlowQuery,
  endpoint: Endpoint,
  pins: PinTable,
  byAddress: { readonly allow: number; readonly deny: number },
): Verdict {
  const settled = decided(side, query, byAddress.allow, byAddress.deny, endpoint);
  if (settled.reason === "unroutable" || settled.reason === "multicast") return settled;
  const limit = settled.rule ?? NO_RULE;
  const allow = allowByName(side, query, endpoint, pins);
  // Whatever is pinned, the guest may state any name at all.
  const deny = side.deny.names.first(query.protocol, query.port);
  const first = Math.min(allow, deny);
  if (first >= limit) return settled;
  const mayTurn = settled.action === "allow" ? deny < limit : allow < limit;
  if (mayTurn) return { action: "defer", reason: "rule", rule: first };
  return { action: settled.action, reason: "rule", rule: first };
}

/**
 * The far end of a flow as rules see it: its address, and what is special about that address.
 *
 * Three things make an address special for an outbound flow, because an allow that was written with
 * the internet in mind must not reach there:
 * - unroutable (240/4, broadcast): no rule opens it;
 * - multicast: opened only by a block inside it or its group;
 * - an address of the host: opened by group `host`, by exactly this address, by `any`, or by a
 *   default that allows, but not by a wider block, another group, or a name that points there.
 *
 * Denies see more than allows: they also match by the addresses that the flow would be delivered to,
 * the IPv4 address that an IPv6 address embeds (a translator or relay delivers there) and the loopback
 * of this machine for the gateway (netstack dials it instead).
 *
 * @module
 */

import {
  type Address,
  type Cidr,
  cidrHas,
  embeddedIPv4,
  parseAddress,
} from "../../base/address.ts";
import { inGroup, isUnroutable } from "./groups.ts";
import type { FlowQuery } from "./policy.ts";

/** What belongs to this machine beside its addresses. Absent: nothing. */
export interface Surroundings {
  /** Blocks of the networks that its interfaces are on. */
  readonly links?: readonly Cidr[];
  /** The guest's gateway, canonical; these are addresses of the host as well. */
  readonly gateways?: ReadonlySet<string>;
}

export interface Endpoint {
  readonly address: Address;
  /** Other addresses that it leads to, which denies see as well. */
  readonly leadsTo: readonly Address[];
  /** Whether the address itself is one of the host's. */
  readonly host: boolean;
  /** Whether the address or one that it leads to is one of the host's. */
  readonly reachesHost: boolean;
  /** The same for the networks of the host's interfaces. */
  readonly local: boolean;
  readonly reachesLocal: boolean;
  readonly guard: "unroutable" | "multicast" | null;
  /** Bits that the prefix of an allowed block must have at least to count as naming the address. */
  readonly leastPrefix: number;
  /** Whether allow rules by name apply. */
  readonly byName: boolean;
}

/** Null when the text is no address, which callers must treat as a denial. */
export function readEndpoint(
  query: FlowQuery,
  hostAddresses: ReadonlySet<string>,
  { links = [], gateways }: Surroundings = {},
): Endpoint | null {
  const address = parseAddress(query.address);
  if (address === null) return null;
  const embedded = embeddedIPv4(address);
  const dialled = gateways?.has(address.text) && query.direction === "outbound"
    ? parseAddress(loopbackFor(address.text))
    : null;
  const leadsTo = [embedded, dialled].filter((other) => other !== null);
  const host = hostAddresses.has(address.text);
  const reachesHost = host || leadsTo.some(({ text }) => hostAddresses.has(text));
  const isLocal = (one: Address) => links.some((link) => cidrHas(link, one));
  // Inbound the address is a peer that already reached us: nothing is going to be dialled.
  const guarded = query.direction === "outbound";
  const guard = guarded ? guardOf(address) ?? (embedded && guardOf(embedded)) : null;
  const special = guarded && (reachesHost || guard !== null);
  return {
    address,
    leadsTo,
    host,
    reachesHost,
    local: isLocal(address),
    reachesLocal: [address, ...leadsTo].some(isLocal),
    guard,
    leastPrefix: special ? leastPrefix(address, reachesHost) : 0,
    byName: !special,
  };
}

/** Where a flow to the gateway is dialled: nothing listens there, it stands for this machine's loopback. */
export function loopbackFor(gateway: string): string {
  return gateway.includes(":") ? "::1" : "127.0.0.1";
}

function guardOf(address: Address): "unroutable" | "multicast" | null {
  if (isUnroutable(address)) return "unroutable";
  return inGroup("multicast", address) ? "multicast" : null;
}

function leastPrefix(address: Address, reachesHost: boolean): number {
  const width = address.bytes.length * 8;
  // Loopback addresses are the host's by definition, so a block inside loopback names the host.
  if (reachesHost) return address.family === 4 && inGroup("loopback", address) ? 8 : width;
  // 224.0.0.0/4 and ff00::/8; an embedded multicast address takes an exact rule.
  if (!inGroup("multicast", address)) return width;
  return address.family === 4 ? 4 : 8;
}

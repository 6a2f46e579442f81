/**
 * DNS rebinding: a public name that answers with an address of the inside. Such answers are refused
 * unless an explicit address rule opens that very address. Pure.
 *
 * @module
 */
import { type Address, addressOf, cidrHas, embeddedIPv4, parseCidr } from "../base/address.ts";
import { GROUPS, inGroup, isUnroutable } from "../policy/groups.ts";
import type { Policy } from "../policy/policy.ts";
import { type Resource, Type } from "./message.ts";

/** The address of an A or AAAA record, or null. */
export function addressIn(record: Resource): Address | null {
  const size = record.type === Type.A ? 4 : record.type === Type.AAAA ? 16 : -1;
  return record.data.length === size ? addressOf(record.data) : null;
}

/** Whether the address, or the IPv4 one a translator reaches through it, is not the internet's. */
export function isInside(address: Address): boolean {
  const embedded = embeddedIPv4(address);
  return [address, ...(embedded === null ? [] : [embedded])].some((one) =>
    isUnroutable(one) || GROUPS.some((group) => inGroup(group, one))
  );
}

/**
 * Whether the policy says in so many words that this address may be reached: the first outbound
 * rule about an address block that holds it allows it. A rule about `any` or a name does not count.
 */
export function opensAddress(policy: Policy, address: Address): boolean {
  for (const { action, direction, destination } of policy.rules) {
    if (direction === "inbound" || destination.kind !== "cidr") continue;
    const block = parseCidr(destination.cidr);
    if (block !== null && cidrHas(block, address)) return action === "allow";
  }
  return false;
}

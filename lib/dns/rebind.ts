/**
 * DNS rebinding: a name whose owner points it at an address inside, so that the guest (or a browser
 * in it) takes an inner service for the outer name. Such answers are refused, unless a rule says in
 * so many words that the address may be reached.
 *
 * @module
 */
import {
  type Address,
  addressOf,
  type Cidr,
  cidrHas,
  embeddedIPv4,
  parseCidr,
} from "../base/address.ts";
import { groupBlocks, GROUPS, inGroup, isUnroutable } from "../policy/model/groups.ts";
import type { Action, Policy, Rule } from "../policy/model/policy.ts";
import { Type } from "./wire/codes.ts";
import type { Resource } from "./wire/message.ts";

/** The address of an A or AAAA record; null for other types and for data of a wrong length. */
export function addressIn(record: Resource): Address | null {
  const size = record.type === Type.A ? 4 : record.type === Type.AAAA ? 16 : -1;
  return record.data.length === size ? addressOf(record.data) : null;
}

/**
 * Whether the address is none of the internet's: this machine's own or its networks', private,
 * link-local, metadata, multicast, reserved, or an IPv6 spelling that a translator or tunnel turns into one of these.
 */
export function isInside(
  address: Address,
  hosts: ReadonlySet<string>,
  links: readonly Cidr[] = [],
): boolean {
  const embedded = embeddedIPv4(address);
  return [address, ...(embedded === null ? [] : [embedded])].some((one) =>
    hosts.has(one.text) || isUnroutable(one) || links.some((link) => cidrHas(link, one)) ||
    GROUPS.some((group) => inGroup(group, one))
  );
}

/**
 * Whether an address rule opens the address. The ordered walk, over outbound rules about blocks and
 * groups only: `any` and names do not count, or the default policies would switch the protection
 * off. As for names, an allow counts whatever its ports, and a deny only if it has none.
 *
 * Addresses of the host are opened by the group `host` or by themselves, never by a wider block.
 */
export function isOpened(
  policy: Policy,
  address: Address,
  hosts: ReadonlySet<string>,
  links: readonly Cidr[] = [],
): boolean {
  const local = links.some((link) => cidrHas(link, address));
  const ownedByHost = hosts.has(address.text);
  for (const rule of addressRules(policy)) {
    const covers = ownedByHost
      ? rule.host || rule.blocks.some((block) => isWhole(block) && cidrHas(block, address))
      : rule.local && local || rule.blocks.some((block) => cidrHas(block, address));
    if (covers) return rule.action === "allow";
  }
  return false;
}

interface AddressRule {
  readonly action: Action;
  readonly host: boolean;
  readonly local: boolean;
  readonly blocks: readonly Cidr[];
}

const compiled = new WeakMap<Policy, readonly AddressRule[]>();

function addressRules(policy: Policy): readonly AddressRule[] {
  let rules = compiled.get(policy);
  if (rules === undefined) {
    rules = policy.rules.filter(decides).map(({ action, destination }) => ({
      action,
      host: destination.kind === "group" && destination.group === "host",
      local: destination.kind === "group" && destination.group === "local-network",
      blocks: destination.kind === "group" ? groupBlocks(destination.group) : blockOf(destination),
    }));
    compiled.set(policy, rules);
  }
  return rules;
}

function decides({ action, direction, destination, protocols, ports }: Rule): boolean {
  if (direction === "inbound") return false;
  if (destination.kind !== "cidr" && destination.kind !== "group") return false;
  return action === "allow" || (protocols.length === 0 && ports.length === 0);
}

function blockOf(destination: Rule["destination"]): readonly Cidr[] {
  const block = destination.kind === "cidr" ? parseCidr(destination.cidr) : null;
  return block === null ? [] : [block];
}

/** One address, spelled out. */
function isWhole(block: Cidr): boolean {
  return block.prefix === (block.family === 4 ? 32 : 128);
}

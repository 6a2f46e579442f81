/**
 * The members of the address groups: the one reading that rules, guards, DNS rebind protection and
 * the documentation share.
 *
 * Groups overlap on purpose: `metadata` lies partly inside `link-local` and `private`, so that
 * denying either of those alone never opens a metadata service. `local-network` and `host` have no
 * fixed members.
 *
 * @module
 */

import { type Address, type Cidr, cidrHas, parseCidr } from "../../base/address.ts";
import type { Group } from "./policy.ts";

/** Every group, in the order in which lists of them are printed. */
export const GROUPS: readonly Group[] = [
  "loopback",
  "private",
  "link-local",
  "metadata",
  "multicast",
  "local-network",
  "host",
];

/** Groups whose members are known only at run time. */
type RuntimeGroup = "local-network" | "host";

const MEMBERS: Readonly<Record<Exclude<Group, RuntimeGroup>, readonly Cidr[]>> = {
  // Linux connects 0.0.0.0 and `::` to itself.
  loopback: blocks("127.0.0.0/8", "::1/128", "0.0.0.0/8", "::/128"),
  private: blocks(
    "10.0.0.0/8", // RFC 1918
    "172.16.0.0/12",
    "192.168.0.0/16",
    "100.64.0.0/10", // carrier-grade NAT, RFC 6598
    "fc00::/7", // unique local, RFC 4193
    "fec0::/10", // site local, deprecated by RFC 3879 but still routed where configured
    "64:ff9b:1::/48", // local-use NAT64, RFC 8215: its IPv4 part may sit at any of several offsets
  ),
  "link-local": blocks("169.254.0.0/16", "fe80::/10"),
  metadata: blocks(
    "169.254.169.254/32", // AWS, Azure, Google, Oracle, DigitalOcean, OpenStack …
    "fd00:ec2::254/128", // AWS
    "fe80::a9fe:a9fe/128", // OpenStack
    "fd20:ce::254/128", // Google
    "168.63.129.16/32", // Azure platform (WireServer)
    "100.100.100.200/32", // Alibaba
    "192.0.0.192/32", // Oracle, older images
    "169.254.0.23/32", // Tencent
    "169.254.170.2/32", // AWS ECS task credentials
    "169.254.170.23/32", // AWS EKS pod identity
    "fd00:ec2::23/128",
  ),
  multicast: blocks("224.0.0.0/4", "ff00::/8"),
};

/** Reserved for ever (RFC 1112 §4) or broadcast: nothing can be reached there. */
const UNROUTABLE = blocks("240.0.0.0/4");

/** The blocks of a group; none for those whose members are known only at run time. */
export function groupBlocks(group: Group): readonly Cidr[] {
  return group === "host" || group === "local-network" ? [] : MEMBERS[group];
}

/** Whether the address is a fixed member of the group. */
export function inGroup(group: Group, address: Address): boolean {
  return groupBlocks(group).some((block) => cidrHas(block, address));
}

export function isUnroutable(address: Address): boolean {
  return UNROUTABLE.some((block) => cidrHas(block, address));
}

function blocks(...texts: readonly string[]): readonly Cidr[] {
  return texts.map((text) => {
    const cidr = parseCidr(text);
    if (cidr === null) throw new TypeError(`Cannot build the address groups: ${text} is no block`);
    return cidr;
  });
}

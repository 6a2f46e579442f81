/**
 * The virtual cable between guest and gateway. Every sandbox of a kind has the same addresses: no two
 * share a cable.
 *
 * @module
 */

/** One side of the virtual cable. */
export interface LinkEnd {
  readonly mac: string;
  readonly ip4: string;
  readonly ip6: string;
}

export interface Link {
  readonly guest: LinkEnd;
  readonly gateway: LinkEnd;
  /** Of every packet on it, in bytes. */
  readonly mtu: number;
}

/** The largest packet that QEMU's stream socket carries; fewer packets are fewer wake-ups. */
const LARGEST_MTU = 65_520;

/** Locally administered MACs that spell "sbx"; a ULA that does as well. */
export const LINK: Link = {
  guest: { mac: "02:73:62:78:00:02", ip4: "192.168.127.2", ip6: "fd73:6278::2" },
  gateway: { mac: "02:73:62:78:00:01", ip4: "192.168.127.1", ip6: "fd73:6278::1" },
  mtu: LARGEST_MTU,
};

/** The gateway as the guest's neighbour discovery knows it. */
const GATEWAY_LINK_LOCAL = "fe80::1";

/** Every address under which the guest knows this machine. */
export function gatewaysOf({ gateway }: Link): ReadonlySet<string> {
  return new Set([gateway.ip4, gateway.ip6, GATEWAY_LINK_LOCAL]);
}

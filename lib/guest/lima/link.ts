/**
 * The cable of a guest of Lima's. Nothing of sbx runs in there to configure it: the guest asks by
 * DHCP and router solicitation, and what it is told has to be what Lima wrote into its cloud-init.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { LINK, type Link } from "../../base/link.ts";

/**
 * Addresses of Lima's own network (its `SlirpNetwork`), and an MTU that every driver of a guest takes.
 *
 * @param mac of the guest's card
 */
export function limaLink(mac: string): Link {
  return {
    guest: { mac, ip4: "192.168.5.15", ip6: LINK.guest.ip6 },
    gateway: { mac: LINK.gateway.mac, ip4: "192.168.5.2", ip6: LINK.gateway.ip6 },
    mtu: 1500,
  };
}

/**
 * The address by which Lima's cloud-init knows the card.
 *
 * @param machine this machine's id, or its host name where it has none
 * @param directory the instance's, absolute
 */
export function limaMac(machine: string, directory: string): string {
  const digest = createHash("sha256").update(machine.trim() + directory).digest();
  return ["52", "55", "55", ...digest.subarray(0, 3).toHex().match(/../g) ?? []].join(":");
}

/** Lima's SSH reaches the guest here. */
export const SSH_PORT = 22;

/**
 * What the host's own network looks like: the addresses that are this machine, and who answers its
 * names.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { parseAddress } from "../base/address.ts";
import { SbxError } from "../base/errors.ts";

/** Canonical texts of every address of every interface. */
export function hostAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const texts = all.map(({ address }) => parseAddress(address.replace(/%.*/, ""))?.text);
  return [...new Set(texts.filter((text) => text !== undefined))];
}

/**
 * Where systemd-resolved lists the resolvers behind its stub. Asking them saves a hop, and the stub
 * would add names of its own (`_gateway`, search domains, mDNS) that the guest has no business with.
 */
const BEHIND_STUB = "/run/systemd/resolve/resolv.conf";
const STUB = "127.0.0.53";

/**
 * Addresses of the host's resolvers, in its own order.
 *
 * @throws SbxError RESOLVER when there are none.
 */
export function systemResolvers(): string[] {
  const own = nameservers("/etc/resolv.conf");
  const behind = own.includes(STUB) ? nameservers(BEHIND_STUB) : [];
  const found = behind.length > 0 ? behind : own;
  if (found.length > 0) return found;
  throw new SbxError("RESOLVER", "Cannot answer names: /etc/resolv.conf lists no nameserver", {
    hint: "name one with --dns-server",
  });
}

function nameservers(path: string): string[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return [];
  }
  return [...text.matchAll(/^[ \t]*nameserver[ \t]+(\S+)/gm)]
    .map(([, address = ""]) => address)
    .filter((address) => parseAddress(address.replace(/%.*/, "")) !== null);
}

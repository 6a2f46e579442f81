/**
 * What the host's own network looks like: the addresses that are this machine, the networks they are
 * in, and who answers its names.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { closeSync, openSync, readFileSync, readSync } from "node:fs";
import { hostname, networkInterfaces } from "node:os";
import { type Address, type Cidr, cidrHas, parseAddress, parseCidr } from "../base/address.ts";
import { SbxError } from "../base/errors.ts";
import { readTextFile } from "../base/text_file.ts";
import { type HostEntry, parseHostsFile } from "../dns/hosts_file.ts";
import { parseResolvConf, type ResolverConfiguration } from "../dns/resolv_conf.ts";

export interface HostNetwork {
  /** Canonical texts of the addresses of every interface. */
  readonly addresses: readonly string[];
  /** Blocks of the networks that the interfaces are on. */
  readonly links: readonly Cidr[];
}

/**
 * What this machine is on its networks. Interfaces that are down are not listed by the runtime: that
 * their addresses are this machine's too is what netstack hears from the kernel, at each flow.
 */
export function hostNetwork(): HostNetwork {
  const addresses = new Set<string>();
  const links = new Map<string, Cidr>();
  const lone: { readonly device: string; readonly address: Address }[] = [];
  for (const [device, list] of Object.entries(networkInterfaces())) {
    for (const { address: text, cidr } of list ?? []) {
      const address = parseAddress(text.replace(/%.*/, ""));
      if (address === null) continue;
      addresses.add(address.text);
      const block = cidr === null ? null : parseCidr(cidr);
      if (block !== null && isLink(block)) links.set(block.text, block);
      if (block?.prefix === 128 && address.text !== "::1") lone.push({ device, address });
    }
  }
  for (const route of ipv6Routes()) {
    const isNear = route.announced ||
      lone.some(({ device, address }) => device === route.device && cidrHas(route.block, address));
    if (isNear && route.block.prefix >= LEAST_ROUTE && isLink(route.block)) {
      links.set(route.block.text, route.block);
    }
  }
  return { addresses: [...addresses], links: [...links.values()] };
}

/**
 * Blocks that have a name of their own, and what VPN clients give to the guests of their machine as
 * stand-ins for all the internet, with an interface in it (RFC 2544's block).
 */
const NO_LINKS = ["127.0.0.0/8", "::1/128", "169.254.0.0/16", "fe80::/10", "198.18.0.0/15"]
  .flatMap((text) => parseCidr(text) ?? []);

/** Whether a block is a network that has other members; a default route is the way to all of them. */
function isLink(block: Cidr): boolean {
  return block.prefix > 0 && block.prefix < block.bytes.length * 8 &&
    !NO_LINKS.some((other) => cidrHas(other, block));
}

/** The shortest prefix of a route that counts as an interface's network, not as a way through it. */
const LEAST_ROUTE = 32;

const ROUTES6 = "/proc/net/ipv6_route";
const RTF_GATEWAY = 0x2;
/** The kernel's own, from what a router announced to be on the link: RTF_ADDRCONF and RTF_PREFIX_RT. */
const ANNOUNCED = 0xc_0000;

interface Route {
  readonly device: string;
  readonly block: Cidr;
  readonly announced: boolean;
}

/**
 * IPv6 routes without a gateway. An address that DHCPv6 gave has no prefix (RFC 8415 6.2): which
 * network it is on was announced by the router, and stands in the routes only. So do networks that are
 * on the link and in which this machine makes no address (RFC 4861 6.3.4), which it reaches all the same.
 *
 * Of tunnels the routes do not count unless the interface has an address inside: they may be any part
 * of the internet, or all of it. Neither do IPv4's, where addresses come with their prefix.
 */
function ipv6Routes(): Route[] {
  const text = headOf(ROUTES6);
  return text.split("\n").flatMap((line) => {
    const [to = "", length = "", , , , , , , flags = "", device = ""] = line.trim().split(/ +/);
    const set = parseInt(flags, 16);
    if (to.length !== 32 || (set & RTF_GATEWAY) !== 0) return [];
    const block = parseCidr(`${to.match(/.{4}/g)?.join(":")}/${parseInt(length, 16)}`);
    return block === null ? [] : [{ device, block, announced: (set & ANNOUNCED) === ANNOUNCED }];
  });
}

/** Of a router that knows all of the internet's routes, the first ten thousand. */
const MAX_ROUTES = 1_500_000;

/** The beginning of a file; nothing of one that is not there (another system, no IPv6). */
function headOf(path: string): string {
  const bytes = Buffer.alloc(MAX_ROUTES);
  try {
    const file = openSync(path, "r");
    try {
      let size = 0;
      for (let read; (read = readSync(file, bytes, size, bytes.length - size, null)) > 0;) {
        size += read;
      }
      return bytes.toString("latin1", 0, size);
    } finally {
      closeSync(file);
    }
  } catch {
    return "";
  }
}

/**
 * Where systemd-resolved lists the resolvers behind its stub. Asking them saves a hop, and the stub
 * would add names of its own (`_gateway`, search domains, mDNS) that the guest has no business with.
 */
const BEHIND_STUB = "/run/systemd/resolve/resolv.conf";
const STUB = "127.0.0.53";
const RESOLV_CONF = "/etc/resolv.conf";

/**
 * Addresses of the host's resolvers, in its own order.
 *
 * @throws SbxError RESOLVER when there are none.
 */
export function systemResolvers(): readonly string[] {
  const own = configuration(RESOLV_CONF).nameservers;
  const behind = own.includes(STUB) ? configuration(BEHIND_STUB).nameservers : [];
  const found = behind.length > 0 ? behind : own;
  if (found.length > 0) return found;
  throw new SbxError("RESOLVER", "Cannot answer names: /etc/resolv.conf lists no nameserver", {
    hint: "name one with --dns-server",
  });
}

/** Domains that this machine appends to bare names, in its own order. */
export function searchDomains(): readonly string[] {
  return configuration(RESOLV_CONF).search;
}

/** What this machine's hosts file says of others than itself; nothing when it cannot be read. */
export async function hostsFileEntries(): Promise<readonly HostEntry[]> {
  const text = await readTextFile("read", "/etc/hosts").catch(() => "");
  return parseHostsFile(text, hostname());
}

function configuration(path: string): ResolverConfiguration {
  try {
    return parseResolvConf(readFileSync(path, "utf8"));
  } catch {
    return { nameservers: [], search: [] };
  }
}

/**
 * Destinations as a program writes them. Every constructor checks its text and returns the plain
 * value of `policy.ts`, frozen; what a file or the command line says parses to the same values.
 *
 * @module
 */
import { orError, quote } from "../text/fault.ts";
import type { Destination as DestinationValue, Group } from "./policy.ts";
import { readCidr, readDomain, readGroup, readSuffix } from "./target.ts";

/** What a rule is about: outbound the destination of the flow, inbound the peer that connects. */
export type Destination = DestinationValue;

/** Named sets of addresses. */
export const DestinationGroup = Object.freeze({
  /** This machine as the guest would spell it: 127/8, ::1, 0/8, `::`. */
  Loopback: "loopback",
  /** RFC 1918, carrier-grade NAT, IPv6 unique local and site local. */
  Private: "private",
  /** 169.254/16 and fe80::/10. */
  LinkLocal: "link-local",
  /** Instance metadata services of the known clouds. */
  Metadata: "metadata",
  Multicast: "multicast",
  /** The networks that this machine's interfaces are on, whatever addresses they have. */
  LocalNetwork: "local-network",
  /** The machine sbx runs on: the gateway and every address of its interfaces. */
  Host: "host",
});
export type DestinationGroup = Group;

export const Destination = Object.freeze({
  any(): Destination {
    return ANY;
  },

  /** An address, or a block in CIDR notation. */
  cidr(block: string): Destination {
    return constructed("cidr", block, readCidr);
  },

  /** Exactly this host name; international names may be given in Unicode. */
  domain(name: string): Destination {
    return constructed("domain", name, readDomain);
  },

  /** This name and everything below it; `x.y`, `.x.y` and `*.x.y` mean the same. */
  domainSuffix(suffix: string): Destination {
    return constructed("domainSuffix", suffix, readSuffix);
  },

  group(group: DestinationGroup): Destination {
    return constructed("group", group, readGroup);
  },
});

const ANY: Destination = Object.freeze({ kind: "any" });

function constructed(call: string, text: string, read: (text: string) => Destination): Destination {
  return orError(`use Destination.${call}(${quote(text)})`, () => Object.freeze(read(text)));
}

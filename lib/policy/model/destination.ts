/**
 * Destinations as a program writes them. Every constructor checks its text and returns the plain
 * value of `policy.ts`, frozen; what a file or the command line says parses to the same values.
 *
 * @module
 */
import { orMisuse, quote } from "../text/fault.ts";
import type { Destination as DestinationValue, Group } from "./policy.ts";
import { readCidr, readDomain, readGroup, readSuffix } from "./target.ts";

/** What a rule is about: outbound the destination of the flow, inbound the peer that connects. */
export type Destination = DestinationValue;

/** Named sets of addresses. */
export const DestinationGroup: {
  /** This machine as the guest would spell it: 127/8, ::1, 0/8, `::`. */
  readonly Loopback: "loopback";
  /** RFC 1918, carrier-grade NAT, IPv6 unique local and site local. */
  readonly Private: "private";
  /** 169.254/16 and fe80::/10. */
  readonly LinkLocal: "link-local";
  /** Instance metadata services of the known clouds. */
  readonly Metadata: "metadata";
  /** 224.0.0.0/4 and ff00::/8. */
  readonly Multicast: "multicast";
  /** The networks that this machine's interfaces are on, whatever addresses they have. */
  readonly LocalNetwork: "local-network";
  /** The machine sbx runs on: the gateway and every address of its interfaces. */
  readonly Host: "host";
} = Object.freeze({
  Loopback: "loopback",
  Private: "private",
  LinkLocal: "link-local",
  Metadata: "metadata",
  Multicast: "multicast",
  LocalNetwork: "local-network",
  Host: "host",
});
/** The name of a set of addresses. */
export type DestinationGroup = Group;

/** Makes destinations; each call throws `SbxError` POLICY_INVALID for text that is none. */
export interface DestinationConstructor {
  /** Every destination. */
  any(): Destination;
  /** An address, or a block in CIDR notation. */
  cidr(block: string): Destination;
  /** Exactly this host name; international names may be given in Unicode. */
  domain(name: string): Destination;
  /** This name and everything below it; `x.y`, `.x.y` and `*.x.y` mean the same. */
  domainSuffix(suffix: string): Destination;
  /** A named set of addresses. */
  group(group: DestinationGroup): Destination;
}

/** What makes destinations. */
export const Destination: DestinationConstructor = Object.freeze({
  any: () => ANY,
  cidr: (block: string) => constructed("cidr", block, readCidr),
  domain: (name: string) => constructed("domain", name, readDomain),
  domainSuffix: (suffix: string) => constructed("domainSuffix", suffix, readSuffix),
  group: (group: DestinationGroup) => constructed("group", group, readGroup),
});

const ANY: Destination = Object.freeze({ kind: "any" });

function constructed(call: string, text: string, read: (text: string) => Destination): Destination {
  return orMisuse(`Destination.${call}(${quote(text)})`, () => Object.freeze(read(text)));
}

/**
 * Destinations as a program writes them. Every constructor checks its text and returns the plain
 * value of `policy.ts`, frozen; what a file or the command line says parses to the same values.
 *
 * @module
 */
import { parseCidr } from "../base/address.ts";
import { SbxError } from "../base/errors.ts";
import { canonicalName, canonicalSuffix } from "../base/name.ts";
import type { Destination as DestinationValue, Group } from "./policy.ts";

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
    const cidr = parseCidr(block);
    if (cidr === null) {
      throw invalid(
        "cidr",
        block,
        "no address or CIDR block",
        "write it like 10.0.0.0/8 or 2001:db8::/32",
      );
    }
    return Object.freeze({ kind: "cidr", cidr: cidr.text });
  },

  /** Exactly this host name; international names may be given in Unicode. */
  domain(name: string): Destination {
    const canonical = canonicalName(name);
    if (canonical === null) {
      throw invalid("domain", name, "no host name", "for an address use Destination.cidr");
    }
    return Object.freeze({ kind: "domain", name: canonical });
  },

  /** This name and everything below it; `x.y`, `.x.y` and `*.x.y` mean the same. */
  domainSuffix(suffix: string): Destination {
    const canonical = canonicalSuffix(suffix);
    if (canonical === null) {
      throw invalid(
        "domainSuffix",
        suffix,
        "no domain of two labels or more",
        "write it like .example.com",
      );
    }
    return Object.freeze({ kind: "suffix", suffix: canonical });
  },

  group(group: DestinationGroup): Destination {
    const groups: readonly string[] = Object.values(DestinationGroup);
    if (!groups.includes(group)) {
      throw invalid("group", group, "unknown group", `use one of ${groups.join(", ")}`);
    }
    return Object.freeze({ kind: "group", group });
  },
});

const ANY: Destination = Object.freeze({ kind: "any" });

function invalid(call: string, text: string, state: string, hint: string): SbxError {
  return new SbxError(
    "POLICY_INVALID",
    `Cannot use Destination.${call}(${JSON.stringify(text)}): ${state}`,
    { hint },
  );
}

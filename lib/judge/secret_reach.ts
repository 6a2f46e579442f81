/**
 * Whether a guest could ever open TLS to the host of a secret: by any name that the host stands for, at
 * any address that could be its own, on any port. Pure.
 *
 * What a host's addresses are is not known before it is asked for, so that every kind of address that the
 * policy opens is tried. What it says is lenient where it cannot know.
 *
 * @module
 */
import { addressOf, type Cidr, parseCidr } from "../base/address.ts";
import { LINK } from "../base/link.ts";
import { nameHasSuffix } from "../base/name.ts";
import { groupBlocks } from "../policy/model/groups.ts";
import type { Policy, Rule } from "../policy/model/policy.ts";
import { hypotheticalFlow } from "./hypothetical.ts";
import { type Outcome, simulate, simulateName, withPins } from "./simulate.ts";
import type { Snapshot } from "./snapshot.ts";

/** Null where TLS to the host is opened on some port; else what becomes of it on port 443. */
export function outOfReach(snapshot: Snapshot, host: string): Outcome | null {
  let refused: Outcome | null = null;
  for (const name of namesOf(snapshot.compiled.policy, host)) {
    const outcome = refusedEverywhere(snapshot, name);
    if (outcome === null) return null;
    refused ??= outcome;
  }
  return refused;
}

/** For documentation (RFC 5737, 3849), so that they are public to every group; networks have used one, not all. */
const SOMEWHERE = ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"];

function refusedEverywhere(snapshot: Snapshot, name: string): Outcome | null {
  const { policy } = snapshot.compiled;
  let refused: Outcome | null = null;
  let withheld: Outcome | null = null;
  for (const answer of [...SOMEWHERE, ...openedAddresses(snapshot)]) {
    const resolution = simulateName(snapshot, name, [answer]);
    if (resolution.kind === "refused") {
      if (resolution.outcome.stage === "name") return resolution.outcome;
      withheld ??= resolution.outcome;
      continue;
    }
    const resolved = withPins(snapshot, resolution.pins);
    for (const { address } of resolution.pins) {
      for (const port of portsOf(policy)) {
        const { info } = hypotheticalFlow(resolved, {
          direction: "outbound",
          protocol: "tcp",
          address,
          port,
        });
        const outcome = simulate(resolved, { info, first: { kind: "tls", sni: name } });
        if (outcome.tls === "intercepted" && outcome.verdict === "allow") return null;
        refused ??= outcome;
      }
    }
  }
  return refused ?? withheld;
}

/** A host that is a suffix stands for itself, for any name below it, and for those that rules name. */
function namesOf({ rules }: Policy, host: string): readonly string[] {
  if (!host.startsWith(".")) return [host];
  const suffix = host.slice(1);
  const ruled = rules.flatMap(({ destination }) =>
    destination.kind === "domain"
      ? [destination.name]
      : destination.kind === "suffix"
      ? [destination.suffix]
      : []
  ).filter((name) => nameHasSuffix(name, suffix));
  return [...new Set([suffix, `any.${suffix}`, ...ruled])];
}

/** More rules about addresses than this are looked at as if they opened none. */
const MOST_RULES = 64;

/** The first and last address of what rules allow. */
function openedAddresses({ compiled: { policy }, links }: Snapshot): string[] {
  return policy.rules.filter(({ action, direction }) =>
    action === "allow" && direction !== "inbound"
  )
    .flatMap((rule) => blocksOf(rule, links)).slice(0, MOST_RULES)
    .flatMap((block) => [block.bytes, lastOf(block)].map((bytes) => addressOf(bytes).text));
}

function blocksOf({ destination }: Rule, links: readonly Cidr[]): readonly Cidr[] {
  switch (destination.kind) {
    case "cidr":
      return block(destination.cidr);
    case "group":
      if (destination.group === "local-network") return links;
      if (destination.group === "host") return block(LINK.gateway.ip4);
      return groupBlocks(destination.group);
    default:
      return [];
  }
}

function block(text: string): readonly Cidr[] {
  const cidr = parseCidr(text);
  return cidr === null ? [] : [cidr];
}

function lastOf({ bytes, prefix }: Cidr): Uint8Array {
  return bytes.map((byte, at) => byte | (0xff >> Math.min(8, Math.max(0, prefix - at * 8))));
}

/** Ports at which something may change: 443 first, then where the ports of any rule begin, or have ended. */
function portsOf({ rules }: Policy): ReadonlySet<number> {
  const edges = rules.flatMap(({ ports }) => ports.flatMap(({ from, to }) => [from, to + 1]));
  return new Set([443, 1, ...edges.filter((port) => port <= 65_535)]);
}

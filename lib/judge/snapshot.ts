/**
 * What rulings rest on: one generation of policy, settings and this machine's place in its networks. A
 * running sandbox and a simulation make theirs here, so that both go by the same.
 *
 * @module
 */
import type { Cidr } from "../base/address.ts";
import { gatewaysOf, LINK, type Link } from "../base/link.ts";
import { dohNames } from "../dns/doh_endpoints.ts";
import type { NameSnapshot } from "../dns/filter.ts";
import { KnownNames } from "../dns/known_names.ts";
import { compilePolicy } from "../policy/decide/compile.ts";
import { NameSet } from "../policy/model/name_set.ts";
import type { PinTable, Policy } from "../policy/model/policy.ts";
import type { Tripwire } from "../secret/tripwire.ts";
import type { Interception } from "../tls/interception.ts";

/** What every ruling of one generation rests on; readonly, and replaced as a whole. */
export interface Snapshot extends NameSnapshot {
  /** Live: what the guest has resolved so far. */
  readonly pins: PinTable;
  /** Which flows are opened; null: none. */
  readonly tls: Interception | null;
  /** Finds the placeholders of the guest's secrets in what flows say; null: there are none. */
  readonly tripwire: Tripwire | null;
  /** The networks that this machine's interfaces are on. */
  readonly links: readonly Cidr[];
  /** The gateway's addresses, which stand for this machine's loopback. */
  readonly gateways: ReadonlySet<string>;
  /** A port of the guest that this machine's own loopback always reaches over TCP; null: none. */
  readonly wayIn: number | null;
  /** Counts up with each change; netstack forgets what it was told under another. */
  readonly generation: number;
}

/** The settings of a sandbox, as far as they decide about flows. */
export interface JudgedSettings {
  readonly policy: Policy;
  /** The guest's cable. Absent: that of a guest that the agent configures. */
  readonly link?: Link;
  /** Names that nobody may resolve or state, the lists of files among them. Absent: none. */
  readonly blocked?: NameSet;
  /** Whether known DNS-over-HTTPS services are refused; false when absent. */
  readonly blockDoh?: boolean;
  /** True when absent. */
  readonly rebindProtection?: boolean;
  /** Names that no resolver is asked for. Absent: none. */
  readonly known?: KnownNames;
  /** Which flows are opened. Absent or null: none. */
  readonly interception?: Interception | null;
  /**
   * A port of the guest that whoever runs it needs, so that no policy closes it to this machine's loopback.
   * Absent: none.
   */
  readonly wayIn?: number;
  /** What the guest has of secrets. Absent: nothing. */
  readonly vault?: { readonly tripwire: Tripwire };
}

/** This machine's place in its networks, as `hostNetwork` finds it. */
export interface Machine {
  /** Canonical texts of the addresses of every interface. */
  readonly addresses: readonly string[];
  readonly links: readonly Cidr[];
}

/** The first generation. */
export function snapshotOf(settings: JudgedSettings, machine: Machine, pins: PinTable): Snapshot {
  const gateways = gatewaysOf(settings.link ?? LINK);
  return {
    ...rulesOf(settings),
    pins,
    tripwire: settings.vault?.tripwire ?? null,
    ...placeOf(machine, gateways),
    gateways,
    wayIn: settings.wayIn ?? null,
    generation: 1,
  };
}

/** What rulings go by of the settings alone; all that another policy changes. */
export function rulesOf(settings: Omit<JudgedSettings, "vault" | "wayIn">): Rules {
  return {
    compiled: compilePolicy(settings.policy),
    blocked: settings.blocked ?? new NameSet(),
    doh: settings.blockDoh === true ? dohNames() : null,
    rebindProtection: settings.rebindProtection ?? true,
    known: settings.known ?? new KnownNames(),
    tls: settings.interception ?? null,
  };
}

type Rules = Pick<
  Snapshot,
  "compiled" | "blocked" | "doh" | "rebindProtection" | "known" | "tls"
>;

/** What rulings go by of this machine. */
export function placeOf({ addresses, links }: Machine, gateways: ReadonlySet<string>): Place {
  return { hosts: gateways.union(new Set(addresses)), links };
}

type Place = Pick<Snapshot, "hosts" | "links">;

export function isSamePlace(one: Place, other: Place): boolean {
  const texts = ({ hosts, links }: Place) => hosts.union(new Set(links.map(({ text }) => text)));
  return texts(one).symmetricDifference(texts(other)).size === 0;
}

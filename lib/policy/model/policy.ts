/**
 * The policy model: plain readonly values that the file, the command line and the builder all
 * parse to. Nothing in here does I/O, and nothing past here sees user text.
 *
 * @module
 */
import type { ReasonId } from "./reasons.ts";

/** What a rule says of what it matches. */
export type Action = "allow" | "deny";

/** The words of {@link Action}. */
export const Action: { readonly Allow: "allow"; readonly Deny: "deny" } = Object.freeze({
  Allow: "allow",
  Deny: "deny",
});

/** `outbound`: the guest opens the flow. `inbound`: a peer reaches a published port of the guest. */
export type Direction = "outbound" | "inbound";

/** The words of {@link Direction}. */
export const Direction: { readonly Outbound: "outbound"; readonly Inbound: "inbound" } = Object
  .freeze({ Outbound: "outbound", Inbound: "inbound" });

/** What a flow speaks. */
export type Protocol = "tcp" | "udp" | "icmpv4" | "icmpv6";

/** The words of {@link Protocol}. */
export const Protocol: {
  readonly Tcp: "tcp";
  readonly Udp: "udp";
  readonly Icmpv4: "icmpv4";
  readonly Icmpv6: "icmpv6";
} = Object.freeze({ Tcp: "tcp", Udp: "udp", Icmpv4: "icmpv4", Icmpv6: "icmpv6" });

/** How a denied flow looks to the guest: silence until its timeout, or an error at once. */
export type DenyWith = "drop" | "reject";

/**
 * Named sets of addresses; their members are in `groups.ts`. `host` is the machine sbx runs on,
 * `local-network` the networks that its interfaces are on.
 */
export type Group =
  | "loopback"
  | "private"
  | "link-local"
  | "metadata"
  | "multicast"
  | "local-network"
  | "host";

/** Inclusive on both ends, 1 to 65535. */
export interface PortRange {
  /** The first port. */
  readonly from: number;
  /** The last one. */
  readonly to: number;
}

/**
 * What a rule is about. Outbound, the destination of the flow; inbound, the peer that connects.
 * Names are canonical: lower-case A-labels without a trailing dot. A suffix is stored without its
 * leading dot and matches its apex as well as every name below it, on label boundaries.
 */
export type Destination =
  | { readonly kind: "any" }
  | { readonly kind: "cidr"; readonly cidr: string }
  | { readonly kind: "domain"; readonly name: string }
  | { readonly kind: "suffix"; readonly suffix: string }
  | { readonly kind: "group"; readonly group: Group };

/** One line of a policy. */
export interface Rule {
  /** What becomes of a flow that it matches. */
  readonly action: Action;
  /** `both` matches either direction. */
  readonly direction: Direction | "both";
  /** Where the flow goes; inbound, who connects. */
  readonly destination: Destination;
  /** Empty: every protocol. */
  readonly protocols: readonly Protocol[];
  /** Empty: every port, and protocols without ports. Otherwise the rule never matches ICMP. */
  readonly ports: readonly PortRange[];
}

/** Rules, and what holds where none of them matches. */
export interface Policy {
  /** False for preset `none`: the guest gets no network device at all. */
  readonly network: boolean;
  /** First match wins. */
  readonly rules: readonly Rule[];
  /** Decides when no rule matches. */
  readonly defaults: { readonly outbound: Action; readonly inbound: Action };
  /** How a denied flow looks to the guest. */
  readonly denyWith: DenyWith;
}

/** A name that a host-chosen resolver answered with this address, still alive for this sandbox. */
export interface Pin {
  /** Canonical. */
  readonly name: string;
  /** In canonical text. */
  readonly address: string;
}

/** Looks up the live pins of one sandbox; names are canonical, addresses in canonical text. */
export interface PinTable {
  /** Names that are pinned to the address, in the order they were learnt. */
  namesOf(address: string): Iterable<string>;
  has(name: string, address: string): boolean;
}

/** One new flow as policy sees it. */
export interface FlowQuery {
  readonly direction: Direction;
  readonly protocol: Protocol;
  /** Outbound: the destination. Inbound: the peer. */
  readonly address: string;
  /** Outbound: destination port. Inbound: the guest's port. Absent for ICMP. */
  readonly port?: number;
  /** The name the flow stated on the wire (SNI, Host), canonical; absent when it stated none. */
  readonly name?: string;
  /** `opening`: the name is not known yet and may still come. `final`: nothing more will be learnt. */
  readonly phase: "opening" | "final";
}

export type { ReasonId } from "./reasons.ts";

/** Why something was not let through: a flow, a question, an answer, a request. */
export interface Refusal {
  readonly reason: ReasonId;
  /** Index into `Policy.rules`, where a rule decided. */
  readonly rule?: number;
  /** More on the reason, for people: a list's entry, an alias, the failed check. Not escaped. */
  readonly detail?: string;
}

/**
 * `defer` asks for the name: netstack accepts the guest, reads its first flight and asks again
 * with phase `final`.
 */
export interface Verdict {
  readonly action: Action | "defer";
  readonly reason: ReasonId;
  /** Index into `Policy.rules` when `reason` is `rule`. */
  readonly rule?: number;
}

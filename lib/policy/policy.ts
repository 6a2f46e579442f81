/**
 * The policy model: plain readonly values that the file, the command line and the builder all
 * parse to. Nothing in here does I/O, and nothing past here sees user text.
 *
 * @module
 */

export type Action = "allow" | "deny";

/** `outbound`: the guest opens the flow. `inbound`: a peer reaches a published port of the guest. */
export type Direction = "outbound" | "inbound";

export type Protocol = "tcp" | "udp" | "icmpv4" | "icmpv6";

/** How a denied flow looks to the guest: silence until its timeout, or an error at once. */
export type DenyWith = "drop" | "reject";

/** Named sets of addresses; their members are in `groups.ts`. `host` is the machine sbx runs on. */
export type Group = "loopback" | "private" | "link-local" | "metadata" | "multicast" | "host";

/** Inclusive on both ends, 1 to 65535. */
export interface PortRange {
  readonly from: number;
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

export interface Rule {
  readonly action: Action;
  /** `both` matches either direction. */
  readonly direction: Direction | "both";
  readonly destination: Destination;
  /** Empty: every protocol. */
  readonly protocols: readonly Protocol[];
  /** Empty: every port, and protocols without ports. Otherwise the rule never matches ICMP. */
  readonly ports: readonly PortRange[];
}

export interface Policy {
  /** False for preset `none`: the guest gets no network device at all. */
  readonly network: boolean;
  /** First match wins. */
  readonly rules: readonly Rule[];
  /** Decides when no rule matches. */
  readonly defaults: { readonly outbound: Action; readonly inbound: Action };
  readonly denyWith: DenyWith;
}

/** A name that a host-chosen resolver answered with this address, still alive for this sandbox. */
export interface Pin {
  readonly name: string;
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

/** Why a flow was decided as it was; the same identifiers in log, journal, EDE and `explain`. */
export type ReasonId =
  | "rule" // a rule matched; see `rule`
  | "default" // no rule matched
  | "unroutable" // guard: no address that anybody could be reached at; never dialled
  | "multicast" // guard: multicast leaves only by a rule that names it
  | "dns" // a question on port 53: sbx answers it itself
  | "dns-transport" // guard: another way to ask for names than port 53
  | "sni-invalid" // guard: the name the flow states cannot be trusted
  | "tls-expected" // an intercepted port, and what came is not TLS
  | "tls-protocol" // TLS that carries something sbx does not relay
  | "quic" // QUIC to an intercepted port, refused so that clients fall back to TLS
  | "upstream-untrusted" // the server's certificate does not prove its name
  | "upstream-tls" // no TLS session with the server came about
  | "mtls" // the server asks for a certificate of the client
  | "request-malformed" // two servers could read the request in two ways, or none could
  | "host-mismatch" // the request is for another host than its connection
  | "method" // CONNECT and TRACE are no requests to a server
  | "request-limit" // the request's head is longer, or has more fields, than is read
  | "request-slow" // the request's head did not arrive in time
  | "stream-limit" // HTTP/2: more streams or control frames than one connection may have
  | "upstream-malformed" // the server's bytes are no answer to what was asked
  | "upstream-closed" // the server left before it answered
  | "name-mismatch" // the name is allowed, but was not resolved to this address
  | "blocked-name" // the name is on a block list
  | "local-name" // the name means something on this machine or its network only
  | "rebind" // guard: the answer points inside
  | "query-invalid" // guard: a DNS query that is malformed, or of a kind never passed on
  | "dns-limit" // more DNS queries than one sandbox may ask
  | "host"; // no rule names this address of the host itself, and the default denies

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

/**
 * A flow that passes already, judged by another policy than the one that let it pass. Pure.
 *
 * A new flow can be asked for its name; an open one has said what it had to say. What was read of it
 * counts as it would have at the beginning:
 *
 * ```
 * address, protocol, port ──► deny | allow | names count
 *                                            ├─ its name was read ──► as in its first flight
 *                                            └─ it passed unread  ──► the names of its address deny;
 *                                                                     they alone open nothing
 * how it passes ──► deny, when this policy would have it opened
 * ```
 *
 * @module
 */
import { listing } from "../dns/filter.ts";
import type { ReasonId } from "../policy/model/policy.ts";
import type { Interception } from "../tls/interception.ts";
import { bypasses } from "./first_flight.ts";
import type { FlowInfo } from "./flow_info.ts";
import { judgeNamed } from "./named.ts";
import { intercepts, judgeOpening } from "./opening.ts";
import type { Ruling } from "./ruling.ts";
import type { Snapshot } from "./snapshot.ts";

/** How the bytes of an open flow pass. */
export type Passage =
  /** netstack moves them, and nobody has looked at what it said. */
  | "unread"
  /** The guest has said nothing yet; what it says will be asked about. */
  | "silent"
  /** As the TLS that its first words were. */
  | "tls"
  /** Neither TLS nor HTTP. */
  | "bytes"
  /** sbx has it. */
  | "dns"
  | "http"
  | "interception"
  | "datagrams"
  /** As requests to a proxy. */
  | "proxy";

/** How an intercepted flow got its session: what its server had to prove, and what may pass. */
export interface ServerProof {
  readonly verified: boolean;
  /** The files of authorities by which it may have. */
  readonly authorities: readonly string[];
  /** What is not HTTP may pass in it. */
  readonly opaque: boolean;
}

/** Hosts that are remembered of one connection. Of one with as many nobody knows what is under way. */
export const MOST_REQUESTED = 256;

export interface OpenFlow {
  readonly info: FlowInfo;
  /** What the flow itself stated; never a name that was only pinned. */
  readonly stated: string | undefined;
  readonly passage: Passage;
  /** Hosts that its requests were let through to, where they are relayed. */
  readonly requested: ReadonlySet<string>;
  /** Of an intercepted flow that has a session with its server. */
  readonly proof: ServerProof | undefined;
}

/** `allow` or `deny`: whether it goes on. */
export function judgeOpenFlow(snapshot: Snapshot, flow: OpenFlow): Ruling {
  const { info, passage, stated } = flow;
  const opening = judgeOpening(snapshot, info);
  if (opening.serve === "dns") return opening;
  if (opening.action === "deny") {
    // A new flow's rule is the first that its name might meet; this one's is the one that it meets.
    const exact = opening.reason === "rule" ? judgeNamed(snapshot, info, stated) : opening;
    return exact.action === "deny" ? exact : opening;
  }
  if (opening.serve === "datagrams" && passage !== "datagrams") return unread(opening);
  if (opening.action !== "inspect") return { ...opening, action: "allow" };
  return passage === "unread" ? judgeUnread(snapshot, info) : judgeRead(snapshot, flow);
}

/** Nobody knows what it stated. An address may have had many names, and a flow states any of them. */
function judgeUnread(snapshot: Snapshot, info: FlowInfo): Ruling {
  const names = [...snapshot.pins.namesOf(info.dst)];
  for (const name of names) {
    const listed = listing(snapshot, name);
    if (listed !== null) return { action: "deny", ...listed, name };
  }
  const ruling = judgeNamed(snapshot, info, undefined);
  if (ruling.action !== "allow") return ruling;
  const { tls } = snapshot;
  const isToOpen = intercepts(snapshot, info) || names.some((name) => tls?.hosts.has(name));
  return isToOpen || isByName(snapshot, ruling) ? unread(ruling) : ruling;
}

function judgeRead(snapshot: Snapshot, flow: OpenFlow): Ruling {
  const { info, stated, requested } = flow;
  const ruling = judgeNamed(snapshot, info, stated);
  if (ruling.action !== "allow") return ruling;
  if (requested.size >= MOST_REQUESTED) return unread(ruling);
  for (const host of requested) {
    const request = judgeNamed(snapshot, info, host === info.dst ? undefined : host);
    if (request.action !== "allow") return request;
  }
  const { tls } = snapshot;
  return tls === null ? ruling : judgePassage(snapshot, tls, flow, ruling);
}

/** Whether one that the rules allow may go on as it does. */
function judgePassage(
  snapshot: Snapshot,
  tls: Interception,
  { info, stated, passage, requested, proof }: OpenFlow,
  ruling: Ruling,
): Ruling {
  const isOpened = intercepts(snapshot, info);
  switch (passage) {
    case "tls":
      if (stated !== undefined && tls.hosts.has(stated)) return unread(ruling);
      if (!isOpened || bypasses(snapshot, tls, info, stated)) return ruling;
      return unread(ruling);
    case "bytes":
    case "http":
    case "proxy":
      return isOpened ? denied(ruling, "tls-expected") : ruling;
    case "interception":
      if (proof === undefined) return ruling;
      if (!isProven(tls, stated ?? info.dst, proof)) return denied(ruling, "upstream-untrusted");
      // It has not shown to be HTTP, which is all that passes now.
      return proof.opaque && !tls.opaque && requested.size === 0
        ? denied(ruling, "tls-protocol")
        : ruling;
    default:
      return ruling;
  }
}

/** Whether the server would have to prove no more than it did. */
function isProven(
  tls: Interception,
  host: string,
  { verified, authorities }: ServerProof,
): boolean {
  if (tls.unverified === "all" || tls.unverified.has(host)) return true;
  return verified && authorities.every((file) => tls.authorities.includes(file));
}

/** Whether a rule about names is what lets it pass. */
function isByName({ compiled: { policy } }: Snapshot, { rule }: Ruling): boolean {
  const kind = rule === undefined ? undefined : policy.rules[rule]?.destination.kind;
  return kind === "domain" || kind === "suffix";
}

function unread(ruling: Ruling): Ruling {
  return denied(ruling, "unread");
}

function denied({ name }: Ruling, reason: ReasonId): Ruling {
  return { action: "deny", reason, ...(name === undefined ? {} : { name }) };
}

/**
 * From a new flow to a ruling, by protocol, address and port. Pure: policy, pins and the host's addresses
 * come in, what netstack is to do and why come out.
 *
 * @module
 */
import { dohTransport, nameTransport } from "../dns/transports.ts";
import { NO_RULE } from "../policy/decide/scopes.ts";
import type { FlowQuery, ReasonId, Verdict } from "../policy/model/policy.ts";
import type { Interception } from "../tls/interception.ts";
import { type FlowInfo, hasPorts } from "./flow_info.ts";
import { evaluateFlow, pinnedName, queryOf, settle, whyOf } from "./named.ts";
import type { Ruling } from "./ruling.ts";
import type { Snapshot } from "./snapshot.ts";

/** Long enough to save netstack most questions; a new policy or host address ends it at once. */
const CACHE_MS = 60_000;

/**
 * How long a guest's first bytes are waited for before its server may speak. A server's greeting must
 * not be late where servers greet; where clients speak first, a slow one is spared a second question.
 */
const WAIT_FOR_GREETING_MS = 250;
const WAIT_FOR_CLIENT_MS = 3_000;
const WAIT_FOR_HELLO_MS = 10_000;
const CLIENT_FIRST: ReadonlySet<number> = new Set([80, 443, 8000, 8080, 8443]);

/** Judges a new flow. */
export function judgeOpening(snapshot: Snapshot, info: FlowInfo): Ruling {
  if (info.dir === "outbound" && hasPorts(info)) {
    if (info.dport === 53) {
      return { action: "redirect", reason: "dns", serve: "dns", ttlMs: CACHE_MS };
    }
    const transport = nameTransport(info.proto, info.dport);
    if (transport !== null) return refuseAtOnce("dns-transport", transport);
    const service = snapshot.doh === null ? null : dohTransport(info.proto, info.dst, info.dport);
    if (service !== null) return refuseAtOnce("dns-transport", service);
  }
  const query = queryOf(info, { phase: "opening" });
  const verdict = evaluateFlow(snapshot, info, query);
  if (verdict.action === "defer" || (verdict.action === "allow" && isToInspect(snapshot, info))) {
    return { action: "inspect", ...whyOf(verdict), waitMs: waitMsFor(snapshot, info) };
  }
  const quic = verdict.action === "allow" ? judgeQuic(snapshot, info) : null;
  if (quic !== null) return quic;
  const ruling = settle(snapshot, info, verdict, pinnedName(snapshot, info));
  if (ruling.action === "allow" && isToWatch(snapshot, info)) {
    return { ...ruling, action: "redirect", serve: "datagrams" };
  }
  return isCacheable(snapshot, info, query, verdict) ? { ...ruling, ttlMs: CACHE_MS } : ruling;
}

/**
 * Whether what the flow says counts, though its address alone would do: it is opened, or might be for
 * the name that it states, or there are names that no flow may state. UDP is not looked into.
 */
function isToInspect(snapshot: Snapshot, info: FlowInfo): boolean {
  if (info.proto !== "tcp" || info.dir !== "outbound") return false;
  const { tls, blocked, doh } = snapshot;
  if (intercepts(snapshot, info) || blocked.size > 0 || doh !== null) return true;
  return tls !== null && tls.hosts.size > 0;
}

/** Whether the datagrams of an allowed flow are looked at, each of them. */
function isToWatch({ tripwire }: Snapshot, { proto, dir }: FlowInfo): boolean {
  return tripwire !== null && proto === "udp" && dir === "outbound";
}

function waitMsFor(snapshot: Snapshot, info: FlowInfo): number {
  if (intercepts(snapshot, info)) return WAIT_FOR_HELLO_MS;
  return CLIENT_FIRST.has(info.dport) ? WAIT_FOR_CLIENT_MS : WAIT_FOR_GREETING_MS;
}

/** Whether the flow must be TLS, and is opened if it is allowed. */
export function intercepts({ tls }: Snapshot, { proto, dir, dport }: FlowInfo): boolean {
  return tls !== null && proto === "tcp" && dir === "outbound" && tls.ports.has(dport);
}

/**
 * QUIC is not opened: it is refused on intercepted ports, and to the hosts of secrets where clients try
 * it. Its packets hide the name, so that the pins of the address have to do.
 */
function judgeQuic({ tls, pins }: Snapshot, info: FlowInfo): Ruling | null {
  if (tls?.blockQuic !== true || info.proto !== "udp" || info.dir !== "outbound") return null;
  if (tls.ports.has(info.dport)) return refuseAtOnce("quic", "over UDP");
  if (!mayBeToSecret(tls, info)) return null;
  const isToSecret = [...pins.namesOf(info.dst)].some((name) => tls.hosts.has(name));
  return isToSecret ? { action: "deny", reason: "quic", detail: "over UDP", reject: true } : null;
}

/** Whether pins decide about a flow of UDP. */
function mayBeToSecret(tls: Interception | null, { proto, dport }: FlowInfo): boolean {
  return tls !== null && tls.hosts.size > 0 && proto === "udp" && dport === HTTPS;
}

const HTTPS = 443;

/** Other ways to the same end are refused at once, so that clients fall back to the one that is left. */
function refuseAtOnce(reason: ReasonId, detail: string): Ruling {
  return { action: "deny", reason, detail, reject: true, ttlMs: CACHE_MS };
}

/**
 * Whether the ruling holds for every flow to the same protocol, address and port until the policy or
 * the host's addresses change. One that a rule about names had a part in does not: the next answer of
 * a resolver, a pin's end or the name that a flow states may turn it. Rules behind the one that
 * decided had no part.
 */
function isCacheable(
  snapshot: Snapshot,
  info: FlowInfo,
  query: FlowQuery,
  verdict: Verdict,
): boolean {
  if (query.direction === "inbound") return false;
  if (verdict.reason === "unroutable") return true;
  if (mayBeToSecret(snapshot.tls, info)) return false;
  const { allow, deny } = snapshot.compiled.outbound;
  const { protocol, port } = query;
  const firstByName = Math.min(allow.names.first(protocol, port), deny.names.first(protocol, port));
  return firstByName === NO_RULE || (verdict.rule ?? NO_RULE) < firstByName;
}

/**
 * From a flow to a ruling. Pure: policy, pins and the host's addresses come in, what netstack is to
 * do and why come out.
 *
 * @module
 */
import { listing } from "../dns/filter.ts";
import { dohTransport, nameTransport } from "../dns/transports.ts";
import type { CompiledPolicy } from "../policy/compile.ts";
import { evaluate } from "../policy/evaluate.ts";
import type { NameSet } from "../policy/name_set.ts";
import type { FlowQuery, PinTable, ReasonId, Verdict } from "../policy/policy.ts";
import { NO_RULE } from "../policy/scopes.ts";
import type { Interception } from "../tls/interception.ts";
import type { FlowInfo, VerdictAction, VerdictMessage } from "./control_message.ts";
import { explicitDial } from "./dial.ts";

/** What every ruling of one policy generation rests on. */
export interface Court {
  readonly compiled: CompiledPolicy;
  readonly pins: PinTable;
  /** Names that no flow may state, whatever the rules. */
  readonly blocked: NameSet;
  /** Known DNS-over-HTTPS services, when these are to be refused. */
  readonly doh: NameSet | null;
  /** Which flows are opened; null: none. */
  readonly tls: Interception | null;
  /** Addresses of this machine, the gateways among them. Canonical, as those of flows are. */
  readonly hosts: ReadonlySet<string>;
  /** The gateway's addresses, which stand for this machine's loopback. */
  readonly gateways: ReadonlySet<string>;
  readonly epoch: number;
}

/** A decision with its why. */
export interface Ruling {
  readonly action: VerdictAction;
  readonly reason: ReasonId;
  /** Index into the policy's rules. */
  readonly rule?: number;
  /** The name the flow stated, or else one that its destination is pinned to. */
  readonly name?: string;
  /** More on the reason, for people: what is wrong with the name, which transport. */
  readonly detail?: string;
  /** Where to dial instead of the judged address, or past the guard rails. */
  readonly dial?: string;
  /** Refused at once whatever the policy's `denyWith` says, so that clients fall back. */
  readonly reject?: boolean;
  /** What was decided about the TLS inside an allowed flow to an intercepted port. */
  readonly tls?: "intercepted" | "bypassed";
  /** How long netstack may repeat the ruling for the same protocol, address and port. */
  readonly ttlMs?: number;
  /** For inspect: how long a silent guest is waited for. */
  readonly waitMs?: number;
}

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
export function judgeOpening(court: Court, info: FlowInfo): Ruling {
  const hasPorts = info.proto === "tcp" || info.proto === "udp";
  if (info.dir === "outbound" && hasPorts) {
    if (info.dport === 53) return { action: "redirect", reason: "dns", ttlMs: CACHE_MS };
    const transport = nameTransport(info.proto, info.dport);
    if (transport !== null) return turnAway("dns-transport", transport);
    const service = court.doh === null ? null : dohTransport(info.proto, info.dst, info.dport);
    if (service !== null) return turnAway("dns-transport", service);
  }
  const query: FlowQuery = {
    direction: info.dir,
    protocol: info.proto,
    address: info.dir === "outbound" ? info.dst : info.src,
    ...(hasPorts ? { port: info.dport } : {}),
    phase: "opening",
  };
  const verdict = evaluate(court.compiled, query, court.pins, court.hosts);
  if (verdict.action === "defer") {
    const waitMs = intercepts(court, info)
      ? WAIT_FOR_HELLO_MS
      : CLIENT_FIRST.has(info.dport)
      ? WAIT_FOR_CLIENT_MS
      : WAIT_FOR_GREETING_MS;
    return { action: "inspect", ...whyOf(verdict), waitMs };
  }
  if (verdict.action === "allow" && intercepts(court, info)) {
    return { action: "inspect", ...whyOf(verdict), waitMs: WAIT_FOR_HELLO_MS };
  }
  if (verdict.action === "allow" && blocksQuic(court, info)) return turnAway("quic", "over UDP");
  const ruling = settle(court, info, verdict, pinnedName(court, info));
  return isCacheable(court, query, verdict) ? { ...ruling, ttlMs: CACHE_MS } : ruling;
}

/** Whether the flow must be TLS, and is opened if it is allowed. */
export function intercepts({ tls }: Court, { proto, dir, dport }: FlowInfo): boolean {
  return tls !== null && proto === "tcp" && dir === "outbound" && tls.ports.has(dport);
}

function blocksQuic({ tls }: Court, { proto, dir, dport }: FlowInfo): boolean {
  return tls?.blockQuic === true && proto === "udp" && dir === "outbound" && tls.ports.has(dport);
}

/** Other ways to the same end are refused at once, so that clients fall back to the one that is left. */
function turnAway(reason: ReasonId, detail: string): Ruling {
  return { action: "deny", reason, detail, reject: true, ttlMs: CACHE_MS };
}

/** Judges a flow of which nothing more will be learnt than the name it stated, if it did. */
export function judgeNamed(court: Court, info: FlowInfo, name: string | undefined): Ruling {
  const listed = name === undefined ? null : listing(court, name);
  if (listed !== null && name !== undefined) {
    return { action: "deny", reason: listed.reason, detail: listed.detail ?? name, name };
  }
  const query: FlowQuery = {
    direction: info.dir,
    protocol: info.proto,
    address: info.dir === "outbound" ? info.dst : info.src,
    ...(info.proto === "tcp" || info.proto === "udp" ? { port: info.dport } : {}),
    ...(name === undefined ? {} : { name }),
    phase: "final",
  };
  const verdict = evaluate(court.compiled, query, court.pins, court.hosts);
  const ruling = settle(court, info, verdict, name ?? pinnedName(court, info));
  if (ruling.action === "allow" || name === undefined) return ruling;
  return isOnlyUnpinned(court, query, name)
    ? { action: "deny", reason: "name-mismatch", name }
    : ruling;
}

function settle(court: Court, info: FlowInfo, verdict: Verdict, name: string | undefined): Ruling {
  const named = name === undefined ? {} : { name };
  if (verdict.action !== "allow") return { action: "deny", ...whyOf(verdict), ...named };
  const dial = info.dir === "outbound" ? explicitDial(court, info) : null;
  return {
    action: "allow",
    ...whyOf(verdict),
    ...named,
    ...(dial === null ? {} : { dial }),
  };
}

function whyOf({ reason, rule }: Verdict): Pick<Ruling, "reason" | "rule"> {
  return rule === undefined ? { reason } : { reason, rule };
}

function pinnedName(court: Court, info: FlowInfo): string | undefined {
  if (info.dir === "inbound") return undefined;
  for (const name of court.pins.namesOf(info.dst)) return name;
  return undefined;
}

/**
 * Whether the ruling holds for every flow to the same protocol, address and port until the policy or
 * the host's addresses change. One that a rule about names had a part in does not: the next answer of
 * a resolver, a pin's end or the name that a flow states may turn it. Rules behind the one that
 * decided had no part.
 */
function isCacheable(court: Court, query: FlowQuery, verdict: Verdict): boolean {
  if (query.direction === "inbound") return false;
  if (verdict.reason === "unroutable") return true;
  const { allow, deny } = court.compiled.outbound;
  const { protocol, port } = query;
  const firstByName = Math.min(allow.names.first(protocol, port), deny.names.first(protocol, port));
  return firstByName === NO_RULE || (verdict.rule ?? NO_RULE) < firstByName;
}

/** Whether the stated name would be allowed, had it been resolved to this address. */
function isOnlyUnpinned(court: Court, query: FlowQuery, name: string): boolean {
  if (court.pins.has(name, query.address)) return false;
  const pins: PinTable = { namesOf: () => [name], has: () => true };
  return evaluate(court.compiled, query, pins, court.hosts).action === "allow";
}

/** The message that carries the ruling out. */
export function toVerdict(court: Court, id: number, ruling: Ruling): VerdictMessage {
  const { action, dial, ttlMs, waitMs } = ruling;
  const reject = action === "deny" &&
    (ruling.reject ?? court.compiled.policy.denyWith === "reject");
  return {
    t: "verdict",
    id,
    epoch: court.epoch,
    action,
    ...(reject ? { reject } : {}),
    ...(dial === undefined ? {} : { dial }),
    ...(ttlMs === undefined ? {} : { ttlMs }),
    ...(waitMs === undefined ? {} : { waitMs }),
  };
}

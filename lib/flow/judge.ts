/**
 * From a flow to a ruling. Pure: policy, pins and the host's addresses come in, netstack's verdict
 * and its why come out.
 *
 * @module
 */
import { formatEndpoint, parseAddress } from "../base/address.ts";
import { nameTransport } from "../dns/transports.ts";
import type { CompiledPolicy } from "../policy/compile.ts";
import { evaluate } from "../policy/evaluate.ts";
import type { FlowQuery, PinTable, Policy, ReasonId, Verdict } from "../policy/policy.ts";
import { type HelloParse, parseClientHello } from "./client_hello.ts";
import type { FlowInfo, VerdictMessage } from "./control_message.ts";
import { parseHttpHost } from "./http_host.ts";

/** What every ruling of one policy generation rests on. */
export interface Court {
  readonly policy: Policy;
  readonly compiled: CompiledPolicy;
  readonly pins: PinTable;
  /** Addresses of this machine, the gateway among them. */
  readonly hosts: ReadonlySet<string>;
  /** The gateway's addresses, which stand for this machine's loopback. */
  readonly gateways: ReadonlySet<string>;
  readonly epoch: number;
}

/** A decision with its why. */
export interface Ruling {
  readonly action: VerdictMessage["action"];
  readonly reason: ReasonId;
  readonly rule?: number;
  /** The name the flow stated, or is known by. */
  readonly name?: string;
  /** Where to dial instead of the judged address, or past the guard rails. */
  readonly dial?: string;
  /** Refused at once whatever `denyWith` says, so that clients fall back. */
  readonly reject?: boolean;
  readonly ttlMs?: number;
  readonly waitMs?: number;
}

/** Long enough for netstack to save most questions, short enough to follow the host's addresses. */
const CACHE_MS = 60_000;

/** Where clients speak first a name is worth waiting for; elsewhere a server's greeting is not to be
 * delayed noticeably. */
const WAIT_FOR_CLIENT_MS = 10_000;
const WAIT_FOR_ANYONE_MS = 300;
const CLIENT_FIRST = new Set([80, 443, 8000, 8080, 8443]);

/** Judges a new flow. */
export function judgeOpening(court: Court, info: FlowInfo): Ruling {
  if (info.dir === "inbound") return settle(court, info, evaluate(...question(court, info)));
  const hasPorts = info.proto === "tcp" || info.proto === "udp";
  if (hasPorts && info.dport === 53) {
    return { action: "redirect", reason: "dns", ttlMs: CACHE_MS };
  }
  const transport = nameTransport(info.proto, info.dport);
  if (transport !== null) {
    return { action: "deny", reason: "dns-transport", name: transport, reject: true };
  }
  return settle(court, info, evaluate(...question(court, info)));
}

/** Judges an inspected flow by what its first bytes state. */
export function judgeFirst(court: Court, info: FlowInfo, first: Uint8Array): Ruling {
  const stated = statedName(first);
  if (stated.kind === "invalid") return { action: "deny", reason: "sni-invalid" };
  const name = stated.name ?? undefined;
  const [compiled, query, pins, hosts] = question(court, info);
  const final: FlowQuery = { ...query, phase: "final", ...(name === undefined ? {} : { name }) };
  const ruling = settle(court, info, evaluate(compiled, final, pins, hosts));
  return name === undefined ? ruling : { ...ruling, name };
}

type Stated = { readonly kind: "name"; readonly name: string | null } | {
  readonly kind: "invalid";
};

function statedName(first: Uint8Array): Stated {
  const tls: HelloParse = parseClientHello(first);
  if (tls.kind === "hello") return { kind: "name", name: tls.hello.sni };
  if (tls.kind === "invalid") return { kind: "invalid" };
  if (tls.kind === "partial") return { kind: first.length === 0 ? "name" : "invalid", name: null };
  const http = parseHttpHost(first);
  if (http.kind === "http") return { kind: "name", name: http.host };
  if (http.kind === "not-http") return { kind: "name", name: null };
  return { kind: "invalid" }; // malformed, or a head that never ended
}

function question(court: Court, info: FlowInfo): Parameters<typeof evaluate> {
  const outbound = info.dir === "outbound";
  const query: FlowQuery = {
    direction: info.dir,
    protocol: info.proto,
    address: outbound ? info.dst : info.src,
    ...(info.proto === "tcp" || info.proto === "udp" ? { port: info.dport } : {}),
    // Only a TCP flow can state a name that netstack reads.
    phase: outbound && info.proto === "tcp" ? "opening" : "final",
  };
  return [court.compiled, query, court.pins, court.hosts];
}

function settle(court: Court, info: FlowInfo, verdict: Verdict): Ruling {
  const why = {
    reason: verdict.reason,
    ...(verdict.rule === undefined ? {} : { rule: verdict.rule }),
  };
  if (verdict.action === "defer") {
    const waitMs = CLIENT_FIRST.has(info.dport) ? WAIT_FOR_CLIENT_MS : WAIT_FOR_ANYONE_MS;
    return { action: "inspect", ...why, waitMs };
  }
  const name = nameByPin(court, info);
  const ttl = dependsOnNames(court.policy) || info.dir === "inbound" ? {} : { ttlMs: CACHE_MS };
  const known = name === undefined ? {} : { name };
  if (verdict.action === "deny") return { action: "deny", ...why, ...known, ...ttl };
  const dial = info.dir === "outbound" ? explicitDial(court, info) : undefined;
  return { action: "allow", ...why, ...known, ...ttl, ...(dial === undefined ? {} : { dial }) };
}

function nameByPin(court: Court, info: FlowInfo): string | undefined {
  if (info.dir === "inbound") return undefined;
  for (const name of court.pins.namesOf(info.dst)) return name;
  return undefined;
}

const namesNeeded = new WeakMap<Policy, boolean>();

/** A verdict that may change with the next DNS answer is not to be cached. */
function dependsOnNames(policy: Policy): boolean {
  let needed = namesNeeded.get(policy);
  if (needed === undefined) {
    needed = policy.rules.some(({ destination: { kind } }) =>
      kind === "domain" || kind === "suffix"
    );
    namesNeeded.set(policy, needed);
  }
  return needed;
}

/** Special ranges that netstack refuses to dial on its own; policy opened this one knowingly. */
const GUARDED =
  /^(0|127|169\.254|22[4-9]|23\d|24\d|25[0-5])\.|^::1?$|^fe[89ab].:|^ff..:|^64:ff9b:|^2002:/;

function explicitDial(court: Court, info: FlowInfo): string | undefined {
  if (court.gateways.has(info.dst)) {
    const loopback = parseAddress(info.dst)?.family === 6 ? "::1" : "127.0.0.1";
    return formatEndpoint(loopback, info.dport);
  }
  const guarded = court.hosts.has(info.dst) || GUARDED.test(info.dst);
  return guarded ? formatEndpoint(info.dst, info.dport) : undefined;
}

/** The message for netstack. */
export function toVerdict(court: Court, id: number, ruling: Ruling): VerdictMessage {
  const { action, dial, ttlMs, waitMs } = ruling;
  const reject = action === "deny" && (ruling.reject ?? court.policy.denyWith === "reject");
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

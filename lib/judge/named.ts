/**
 * A flow of which all is known that ever will be: its address, and the name that it stated, if it did.
 *
 * @module
 */
import { listing } from "../dns/filter.ts";
import { evaluate } from "../policy/decide/evaluate.ts";
import type { FlowQuery, PinTable, Verdict } from "../policy/model/policy.ts";
import { explicitDial } from "./dial.ts";
import { type FlowInfo, hasPorts } from "./flow_info.ts";
import type { Ruling } from "./ruling.ts";
import type { Snapshot } from "./snapshot.ts";

/** Judges a flow of which nothing more will be learnt than the name it stated, if it did. */
export function judgeNamed(snapshot: Snapshot, info: FlowInfo, name: string | undefined): Ruling {
  const listed = name === undefined ? null : listing(snapshot, name);
  if (listed !== null && name !== undefined) {
    return { action: "deny", reason: listed.reason, detail: listed.detail ?? name, name };
  }
  const query = queryOf(info, { phase: "final", ...(name === undefined ? {} : { name }) });
  const verdict = evaluateFlow(snapshot, info, query);
  const ruling = settle(snapshot, info, verdict, name ?? pinnedName(snapshot, info));
  if (ruling.action === "allow" || name === undefined) return ruling;
  return isOnlyUnpinned(snapshot, info, query, name)
    ? { action: "deny", reason: "name-mismatch", name }
    : snapshot.pins.has(name, query.address)
    ? ruling
    : { ...ruling, unpinned: true };
}

export function settle(
  snapshot: Snapshot,
  info: FlowInfo,
  verdict: Verdict,
  name: string | undefined,
): Ruling {
  const named = name === undefined ? {} : { name };
  if (verdict.action !== "allow") return { action: "deny", ...whyOf(verdict), ...named };
  const dial = info.dir === "outbound" ? explicitDial(snapshot, info) : null;
  return {
    action: "allow",
    ...whyOf(verdict),
    ...named,
    ...(dial === null ? {} : { dial }),
  };
}

/** The flow as the policy's rules see it. */
export function queryOf(info: FlowInfo, said: Pick<FlowQuery, "name" | "phase">): FlowQuery {
  return {
    direction: info.dir,
    protocol: info.proto,
    address: info.dir === "outbound" ? info.dst : info.src,
    ...(hasPorts(info) ? { port: info.dport } : {}),
    ...said,
  };
}

/** What the rules say of it. */
export function evaluateFlow(snapshot: Snapshot, info: FlowInfo, query: FlowQuery): Verdict {
  if (isWayIn(snapshot, info)) return { action: "allow", reason: "default" };
  const hosts = hostsOf(snapshot, info);
  return evaluate(snapshot.compiled, query, snapshot.pins, hosts, snapshot);
}

/** The way in is not the policy's to close, and nobody's from elsewhere than this machine's loopback. */
function isWayIn({ wayIn }: Snapshot, { dir, proto, src, dport }: FlowInfo): boolean {
  return wayIn !== null && dir === "inbound" && proto === "tcp" && dport === wayIn &&
    src === "127.0.0.1";
}

/** netstack asks the kernel what no list of addresses has: blocks routed here, broadcast, anycast. */
function hostsOf({ hosts }: Snapshot, { own, dst }: FlowInfo): ReadonlySet<string> {
  return own === true && !hosts.has(dst) ? new Set([...hosts, dst]) : hosts;
}

export function whyOf({ reason, rule }: Verdict): Pick<Ruling, "reason" | "rule"> {
  return rule === undefined ? { reason } : { reason, rule };
}

export function pinnedName(snapshot: Snapshot, info: FlowInfo): string | undefined {
  if (info.dir === "inbound") return undefined;
  for (const name of snapshot.pins.namesOf(info.dst)) return name;
  return undefined;
}

/** Whether the stated name would be allowed, had it been resolved to this address. */
function isOnlyUnpinned(
  snapshot: Snapshot,
  info: FlowInfo,
  query: FlowQuery,
  name: string,
): boolean {
  if (snapshot.pins.has(name, query.address)) return false;
  const pins: PinTable = { namesOf: () => [name], has: () => true };
  return evaluateFlow({ ...snapshot, pins }, info, query).action === "allow";
}

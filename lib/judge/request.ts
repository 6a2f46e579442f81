/**
 * Policy's word on one request that sbx relays. Pure.
 *
 * The relay has made sure that a request names what its TLS session named, and the flow was judged by
 * that. What is left are sessions that named nothing.
 *
 * @module
 */
import { parseAddress } from "../base/address.ts";
import type { Refusal, RequestLine } from "../http/exchange.ts";
import type { ClientHello } from "../tls/client_hello.ts";
import type { FlowInfo } from "./flow_info.ts";
import { judgeNamed } from "./named.ts";
import type { Ruling } from "./ruling.ts";
import type { Snapshot } from "./snapshot.ts";

/** Null lets the request pass. */
export function judgeRequest(
  snapshot: Snapshot,
  { info, hello }: { readonly info: FlowInfo; readonly hello: ClientHello },
  { host }: Pick<RequestLine, "host">,
): Refusal | null {
  if (host === hello.sni) return null;
  if (parseAddress(host) !== null) {
    return host === info.dst ? null : { reason: "host-mismatch", detail: host };
  }
  return refusalOf(judgeNamed(snapshot, info, host));
}

/** The same in a flow of plain HTTP, where every request states a host of its own. */
export function judgePlainRequest(
  snapshot: Snapshot,
  info: FlowInfo,
  { host }: Pick<RequestLine, "host">,
): Refusal | null {
  const isName = parseAddress(host) === null;
  return refusalOf(judgeNamed(snapshot, info, isName ? host : undefined));
}

/** Null: it is none. */
export function refusalOf({ action, reason, rule, detail }: Ruling): Refusal | null {
  if (action === "allow") return null;
  return {
    reason,
    ...(rule === undefined ? {} : { rule }),
    ...(detail === undefined ? {} : { detail }),
  };
}

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
import type { InterceptedFlow } from "./flow_table.ts";
import type { FlowInfo } from "./control_message.ts";
import { type Court, judgeNamed, type Ruling } from "./judge.ts";

/** Null lets the request pass. */
export function judgeRequest(
  court: Court,
  { info, hello }: Pick<InterceptedFlow, "info" | "hello">,
  { host }: Pick<RequestLine, "host">,
): Refusal | null {
  if (host === hello.sni) return null;
  if (parseAddress(host) !== null) {
    return host === info.dst ? null : { reason: "host-mismatch", detail: host };
  }
  return refusalOf(judgeNamed(court, info, host));
}

/** The same in a flow of plain HTTP, where every request states a host of its own. */
export function judgePlainRequest(
  court: Court,
  info: FlowInfo,
  { host }: Pick<RequestLine, "host">,
): Refusal | null {
  const isName = parseAddress(host) === null;
  return refusalOf(judgeNamed(court, info, isName ? host : undefined));
}

function refusalOf({ action, reason, rule, detail }: Ruling): Refusal | null {
  if (action === "allow") return null;
  return {
    reason,
    ...(rule === undefined ? {} : { rule }),
    ...(detail === undefined ? {} : { detail }),
  };
}

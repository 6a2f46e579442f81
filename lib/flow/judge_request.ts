/**
 * Policy's word on one request inside an intercepted flow. Pure.
 *
 * The relay has made sure that a request names what its TLS session named, and the flow was judged by
 * that. What is left are sessions that named nothing.
 *
 * @module
 */
import { parseAddress } from "../base/address.ts";
import type { Refusal, RequestLine } from "../http/exchange.ts";
import type { InterceptedFlow } from "./flow_table.ts";
import { type Court, judgeNamed } from "./judge.ts";

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
  const { action, reason, detail } = judgeNamed(court, info, host);
  if (action === "allow") return null;
  return detail === undefined ? { reason } : { reason, detail };
}

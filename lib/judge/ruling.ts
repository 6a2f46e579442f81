/**
 * What was decided about a flow.
 *
 * @module
 */
import type { ReasonId } from "../policy/model/policy.ts";
import type { FirstEnd, VerdictAction } from "./flow_info.ts";

/** A decision with its why. */
export interface Ruling {
  readonly action: VerdictAction;
  readonly reason: ReasonId;
  /** Index into the policy's rules. */
  readonly rule?: number;
  /** The name the flow stated, or else one that its destination is pinned to. */
  readonly name?: string;
  /** The name was stated, and sbx did not resolve it to this address: a rule for it would not help. */
  readonly unpinned?: true;
  /** What a refused flow said first, and was refused by; absent when that was a lot. */
  readonly first?: { readonly bytes: Uint8Array; readonly end: FirstEnd };
  /** More on the reason, for people: what is wrong with the name, which transport. */
  readonly detail?: string;
  /** Where to dial instead of the judged address, or past the guard rails. */
  readonly dial?: string;
  /** Refused at once whatever the policy's `denyWith` says, so that clients fall back. */
  readonly reject?: boolean;
  /** Who in sbx serves a flow that is redirected. */
  readonly serve?: "dns" | "interception" | "http" | "datagrams" | "proxy";
  /** What was decided about the TLS inside an allowed flow to an intercepted port. */
  readonly tls?: "intercepted" | "bypassed";
  /** How long netstack may repeat the ruling for the same protocol, address and port. */
  readonly ttlMs?: number;
  /** For inspect: how long a silent guest is waited for. */
  readonly waitMs?: number;
}

/**
 * What is known of a flow when it is judged: how netstack tells it, and what may be done with it.
 *
 * @module
 */
import { formatEndpoint } from "../base/address.ts";
import type { Direction, Protocol } from "../policy/model/policy.ts";

/** One new flow as netstack tells it. Addresses are canonical text; ICMP has ports 0. */
export interface FlowInfo {
  readonly proto: Protocol;
  readonly dir: Direction;
  readonly src: string;
  readonly sport: number;
  readonly dst: string;
  readonly dport: number;
  /** Of the published port, inbound. */
  readonly ref?: number;
  /** The host's kernel takes `dst` for its own, alone or with others. */
  readonly own?: true;
}

/** ICMP has none. */
export function hasPorts({ proto }: Pick<FlowInfo, "proto">): boolean {
  return proto === "tcp" || proto === "udp";
}

/** Whom an outbound flow is for: the name it goes by, or else its address. */
export function partyOf({ dst, dport }: FlowInfo, name: string | undefined): string {
  return name ?? formatEndpoint(dst, dport);
}

/** What netstack can do with a flow. `inspect` accepts the guest and asks again with its first bytes. */
export type VerdictAction = "allow" | "inspect" | "redirect" | "deny";

/** Why the first bytes of a flow are all there is to see. */
export type FirstEnd =
  | "complete" // a whole ClientHello or HTTP head, or bytes that begin neither
  | "full" // more than netstack keeps
  | "timeout" // nothing more in time
  | "eof" // the guest will say no more
  | "plain"; // behind a ClientHello, which its server answered with what is no TLS

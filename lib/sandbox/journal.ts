/**
 * The journal: one JSON object a line for everything that went over the wire or was kept from it.
 * docs/journal.md is the schema; a change to the meaning of a field changes the version.
 *
 * @module
 */
import type { DnsEvent } from "../dns/service.ts";
import type { FlowEnd } from "../flow/control_message.ts";
import type { Action, Direction, Protocol, ReasonId } from "../policy/policy.ts";

export const JOURNAL_VERSION = 1;

interface PolicyLine {
  /** The rules in order, as they would be written. */
  readonly policy: readonly string[];
  readonly defaults: { readonly outbound: Action; readonly inbound: Action };
}

/** What the lines of a flow have in common. */
export interface FlowLine {
  /** The same in all lines of one flow. */
  readonly flow: number;
  readonly direction: Direction;
  readonly protocol: Protocol;
  /** `address:port`, or the address alone for protocols without ports. */
  readonly source: string;
  readonly destination: string;
  /** What the flow stated, or a name that its destination was resolved from. */
  readonly name?: string;
  /** What was decided about the TLS inside a flow to an intercepted port. */
  readonly tls?: "intercepted" | "bypassed";
}

/** Why something was decided as it was. */
export interface WhyLine {
  readonly reason: ReasonId;
  /** Index of the rule in the policy, from 0. */
  readonly rule?: number;
  /** The rule as it would be written. */
  readonly ruleText?: string;
  /** More on the reason, for people. */
  readonly detail?: string;
}

/** One HTTP request inside an intercepted flow. There are no bodies, fields or queries in a journal. */
export interface RequestEvent {
  readonly event: "request";
  readonly flow: number;
  /** Absent when the guest's bytes were no request. */
  readonly method?: string;
  readonly host?: string;
  /** Without the query. */
  readonly path?: string;
  /** What the guest got; absent when that was nothing. */
  readonly status?: number;
  /** Bytes of the bodies: the guest's, the server's. */
  readonly up: number;
  readonly down: number;
  readonly ms: number;
  /** Present when sbx answered in the server's place. */
  readonly reason?: ReasonId;
  readonly detail?: string;
}

export type JournalEvent =
  | PolicyLine & { readonly event: "start"; readonly version: number }
  /** The policy was replaced. */
  | PolicyLine & { readonly event: "policy" }
  | Omit<DnsEvent, "kind"> & { readonly event: "dns"; readonly ruleText?: string }
  | FlowLine & WhyLine & { readonly event: "opened"; readonly dialled: string }
  | FlowLine & {
    readonly event: "closed";
    /** Bytes of the guest to its peer, and back. */
    readonly up: number;
    readonly down: number;
    readonly ms: number;
    readonly end: FlowEnd;
  }
  | FlowLine & WhyLine & { readonly event: "denied" | "revoked" }
  | RequestEvent
  /** New flows that netstack refused because one of its limits was reached. */
  | { readonly event: "limit"; readonly what: string; readonly count: number }
  /** Lines about refusals that were left out since the last one, because they came too fast. */
  | { readonly event: "suppressed"; readonly denied: number; readonly dns: number }
  /** Lines that could not be written, because the disk was full or the reader too slow. */
  | { readonly event: "lost"; readonly lines: number }
  | {
    readonly event: "published";
    readonly protocol: "tcp" | "udp";
    readonly address: string;
    readonly port: number;
    readonly guestPort: number;
  }
  | { readonly event: "end"; readonly error?: string };

export interface Journal {
  /** Never fails; what cannot be written is lost, and a line says how much. */
  write(event: JournalEvent): void;
  /** Resolves, when all lines are with the operating system, to how many never got there. */
  close(): Promise<number>;
}

/** A journal that nobody asked for. */
export const NO_JOURNAL: Journal = { write: () => {}, close: () => Promise.resolve(0) };

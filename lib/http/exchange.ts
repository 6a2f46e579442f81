/**
 * What the relay tells and asks about requests: for policy before they leave, for the journal after.
 *
 * @module
 */

import type { ReasonId } from "../policy/policy.ts";

/** A request as rules and journal see it. */
export interface RequestLine {
  readonly method: string;
  /** Canonical name or address, without a port. */
  readonly host: string;
  /** Without the query, which may carry secrets. */
  readonly path: string;
}

/** Why a request was not answered by its server; stable identifiers. */
export type HttpReason =
  | "request-malformed" // two servers could read it in two ways, or none could
  | "host-mismatch" // it is for another host than its connection
  | "method" // CONNECT and TRACE are no requests to a server
  | "request-limit" // its head is longer, or has more fields, than is read
  | "request-slow" // its head did not arrive in time
  | "stream-limit" // HTTP/2: more streams or control frames than one connection may have
  | "upstream-malformed" // the server's bytes are no answer to what was asked
  | "upstream-closed"; // the server left before it answered

/** A refusal of policy (its reason is one of policy's) or of the relay itself. */
export interface Refusal {
  readonly reason: ReasonId;
  /** The index of the rule that refused it. */
  readonly rule?: number;
  /** More on the reason, for people: the rule, the failed check. */
  readonly detail?: string;
}

/** One request with what became of it. */
export interface Exchange {
  /** Absent when the guest's bytes were no request. */
  readonly request?: RequestLine;
  /** Of the final response that the guest got, the relay's own included; absent when there was none. */
  readonly status?: number;
  /** Bytes of the bodies that were passed on: the guest's, the server's. */
  readonly up: number;
  readonly down: number;
  /** From the request's last head byte to the end of both bodies, in milliseconds. */
  readonly ms: number;
  /** Present when the server's answer was not what the guest got. */
  readonly refused?: Refusal;
}

/** How a relayed connection ended. What no end cut short ended in order, whoever closed it and how. */
export type RelayEnd =
  | "eof" // in order, or with nothing under way
  | "reset-guest" // the guest left in the middle, or broke the rules of its protocol
  | "reset-upstream" // the server did
  | "idle"; // nothing moved for too long

/** Policy's word on one request; null lets it pass. Called before any byte of it leaves. */
export type JudgeRequest = (request: RequestLine) => Refusal | null;

export interface HttpLimits {
  /** A head, or an HTTP/2 field section, with its names and values; bytes. */
  readonly headBytes: number;
  readonly headFields: number;
  /** From the first byte of a head to its last. */
  readonly headMs: number;
  /** A connection without a request under way. */
  readonly idleMs: number;
  /** A connection with requests under way, on which nothing moves. */
  readonly silenceMs: number;
  /** Interim responses to one request. */
  readonly interim: number;
  /** HTTP/2: streams of one connection open at the same time. */
  readonly streams: number;
}

export const HTTP_LIMITS: HttpLimits = {
  headBytes: 65_536,
  headFields: 200,
  headMs: 15_000,
  idleMs: 300_000,
  silenceMs: 3_600_000,
  interim: 100,
  streams: 128,
};

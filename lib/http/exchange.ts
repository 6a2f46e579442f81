/**
 * What the relay tells and asks about requests: for policy before they leave, for the journal after.
 *
 * @module
 */

import type { ReasonId, Refusal } from "../policy/model/policy.ts";

export type { Refusal };

/** A request as rules and journal see it. */
export interface RequestLine {
  readonly method: string;
  /** Canonical name or address, without a port. */
  readonly host: string;
  /** Without the query, which may carry secrets. */
  readonly path: string;
}

/** Why the relay itself did not let a server answer a request. */
export type HttpReason = Extract<
  ReasonId,
  | "request-malformed"
  | "host-mismatch"
  | "method"
  | "request-limit"
  | "request-slow"
  | "stream-limit"
  | "upstream-malformed"
  | "upstream-closed"
>;

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

/** An exchange that went no further than sbx. `request`: absent when the guest's bytes were none. */
export function refusedExchange(
  refused: Refusal,
  request?: RequestLine,
  status?: number,
): Exchange {
  return {
    ...(request === undefined ? {} : { request }),
    ...(status === undefined ? {} : { status }),
    up: 0,
    down: 0,
    ms: 0,
    refused,
  };
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
  // As long as a connection that sbx does not relay: for as long as both ends are there, which the kernel
  // finds out on the server's side (tls/keep_alive.ts) and netstack on the guest's.
  idleMs: Infinity,
  silenceMs: Infinity,
  interim: 100,
  streams: 128,
};

/**
 * What is done about TLS: which ports are intercepted, what is left alone, and whom to believe.
 *
 * @module
 */

import { parseAddress } from "../../base/address.ts";
import { PolicyFault, quote } from "../text/fault.ts";
import { NameSet } from "./name_set.ts";
import { readName, readSuffixName } from "./target.ts";

/** What a sandbox does about TLS. */
export interface TlsSettings {
  /** Whether anything is intercepted; without it the rest but `trustHostCas` has no effect. */
  readonly intercept: boolean;
  /** TCP ports whose flows must be TLS and are opened; ascending. */
  readonly ports: readonly number[];
  /** Names that are not opened, as {@link readBypass} gives them. They need an allow and a pin. */
  readonly bypass: readonly string[];
  /** Refuses QUIC on these ports, so that clients fall back to TLS over TCP. */
  readonly blockQuic: boolean;
  /** The user's own authority. Absent: the one of `sbx ca init`, else one for this sandbox alone. */
  readonly authority?: AuthorityFiles;
  /** PEM files of certificates that upstream servers may chain to, beside the public roots. */
  readonly upstreamCa: readonly string[];
  /** Whether the certificates of servers are verified. */
  readonly verifyUpstream: boolean;
  /** Names and addresses whose certificates are not verified, as {@link readUnverified} gives them. */
  readonly noVerify: readonly string[];
  /** The guest, and sbx for the guest, trust what this machine trusts, beside the public roots. */
  readonly trustHostCas: boolean;
  /** Relays what is not HTTP as a byte stream inside TLS, instead of refusing it. */
  readonly opaque: boolean;
  /** Closes an intercepted connection on which nothing moves for so long. Absent: its ends decide. */
  readonly idleMs?: number;
}

/** Paths of PEM files. */
export interface AuthorityFiles {
  /** Of its certificate, and those above it. */
  readonly cert: string;
  /** Of the private key to it. */
  readonly key: string;
}

export const DEFAULT_TLS: TlsSettings = {
  intercept: false,
  ports: [443],
  bypass: [],
  blockQuic: true,
  upstreamCa: [],
  verifyUpstream: true,
  noVerify: [],
  trustHostCas: false,
  opaque: false,
};

/**
 * A pattern of names in its canonical form: `api.example.com` for exactly this name, `.example.com`
 * (also written `*.example.com`) for this name and all below it.
 */
export function readBypass(text: string): string {
  if (parseAddress(text) !== null) {
    throw new PolicyFault(
      `${quote(text)} is an address, and only a name that the guest states can be recognised`,
      "to keep an address out of interception, leave its port out of the intercepted ones",
    );
  }
  return readPattern(text);
}

/** The same, or an address. */
export function readUnverified(text: string): string {
  return parseAddress(text)?.text ?? readPattern(text);
}

function readPattern(text: string): string {
  return /^\*?\./.test(text) ? `.${readSuffixName(text)}` : readName(text);
}

/** Ascending and without repetitions. */
export function readTlsPorts(ports: readonly number[]): readonly number[] {
  for (const port of ports) {
    if (!Number.isInteger(port) || port < 1 || port > 65_535) {
      throw new PolicyFault(`${port} is no port`, "ports are 1 to 65535");
    }
    if (port === 53) throw new PolicyFault("port 53 is the guest's resolver, which speaks no TLS");
  }
  if (ports.length === 0) throw new PolicyFault("no port is named", "leave it out to mean 443");
  return [...new Set(ports)].sort((a, b) => a - b);
}

/** The longest that a timer of the runtime can wait; it ends at once what is to wait for longer. */
export const MAX_IDLE_MS = 2 ** 31 - 1;

/** A whole number of milliseconds. */
export function readIdle(ms: number): number {
  if (Number.isInteger(ms) && ms >= 1 && ms <= MAX_IDLE_MS) return ms;
  throw new PolicyFault(
    `${ms} ms is no idle time`,
    "from 1 ms to 24 days; left out, a connection lives as long as both of its ends",
  );
}

/** The set of canonical patterns, for looking up many names; addresses only match themselves. */
export function patternSet(patterns: readonly string[]): NameSet {
  const set = new NameSet();
  for (const pattern of patterns) {
    if (pattern.startsWith(".")) set.addSuffix(pattern.slice(1));
    else set.addName(pattern);
  }
  return set;
}

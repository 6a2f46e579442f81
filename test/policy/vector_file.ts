/**
 * Policy vectors from files: the format, and its translation into policy files of ours, so that
 * every vector passes through the loader that users' files pass through.
 *
 * @module
 */

import { readFileSync } from "node:fs";
import { parseAddress, parseCidr } from "../../lib/base/address.ts";
import { nameFromWire } from "../../lib/base/name.ts";
import { parsePolicyFile } from "../../lib/policy/file/load.ts";
import { fixedPins } from "../../lib/policy/model/fixed_pins.ts";
import type { FlowQuery, PinTable, Policy, Protocol } from "../../lib/policy/model/policy.ts";

/** Policies are taken as they come: an invalid one must be refused by the loader, not by a type. */
export type VectorPolicy = Readonly<Record<string, unknown>>;

export interface FlowVector {
  readonly id: string;
  readonly note: string;
  readonly policy: VectorPolicy;
  readonly pins: readonly { readonly name: string; readonly ip: string }[];
  readonly host_ips: readonly string[];
  readonly flow: {
    readonly direction: string;
    readonly protocol: Protocol;
    readonly ip: string;
    readonly port: number | null;
    readonly sni?: string | null;
    readonly phase?: string;
  };
  readonly expect: {
    readonly verdict: string;
    readonly rule: number | null;
    readonly guard?: string | null;
  };
  readonly rule_alt?: readonly number[];
}

export interface NameVector {
  readonly id: string;
  readonly note: string;
  readonly policy: VectorPolicy;
  readonly query: {
    readonly name: string;
    readonly transport: "udp" | "tcp";
    readonly port: number;
  };
  readonly expect: { readonly verdict: string; readonly rule: number | null };
}

export interface InvalidVector {
  readonly id: string;
  readonly why: string;
  readonly policy: VectorPolicy;
}

export interface VectorFile {
  readonly vectors: readonly FlowVector[];
  readonly dns_vectors: readonly NameVector[];
  readonly invalid_policies: readonly InvalidVector[];
}

export function readVectorFile(path: string): VectorFile {
  const file: Partial<VectorFile> = JSON.parse(readFileSync(path, "utf8"));
  const vectors = {
    vectors: file.vectors ?? [],
    dns_vectors: file.dns_vectors ?? [],
    invalid_policies: file.invalid_policies ?? [],
  };
  const count = Object.values(vectors).reduce((sum, { length }) => sum + length, 0);
  if (count === 0) throw new TypeError(`${path} has no vectors`);
  return vectors;
}

/** Throws what the loader throws. */
export function loadVectorPolicy(policy: VectorPolicy): Policy {
  return parsePolicyFile(policyText(policy), "vector.json").policy;
}

/**
 * Renames keys and spells absent filters as ours; everything else, mistakes included, stays. The
 * result is text, so that a default given in both ways becomes a key that stands twice.
 */
function policyText(policy: VectorPolicy): string {
  const members: string[] = [];
  const { defaultAction, default_egress, default_ingress, rules, ...strange } = policy;
  if (defaultAction !== undefined) members.push(`"default": ${JSON.stringify(defaultAction)}`);
  if (default_egress !== undefined || default_ingress !== undefined) {
    const defaults = { outbound: default_egress, inbound: default_ingress ?? "allow" };
    members.push(`"default": ${JSON.stringify(defaults)}`);
  }
  if (rules !== undefined) {
    const list = Array.isArray(rules) ? rules.map(inOurWords) : rules;
    members.push(`"rules": ${JSON.stringify(list)}`);
  }
  for (const [key, value] of Object.entries(strange)) {
    members.push(`${JSON.stringify(key)}: ${JSON.stringify(value)}`);
  }
  return `{${members.join(", ")}}`;
}

/**
 * Vectors mask the bits of an address behind its prefix; our loader refuses to guess what they mean.
 * Vectors write null for "any"; our files leave the key out. Their ports are always lists of pairs;
 * what is neither must not pass as the shorter forms that our files have.
 */
function inOurWords(rule: unknown): unknown {
  if (typeof rule !== "object" || rule === null) return rule;
  const entries = Object.entries(rule)
    .filter(([key, value]) => value !== null || (key !== "protocol" && key !== "ports"));
  return Object.fromEntries(entries.map(([key, value]) => {
    if (key === "destination") return [key, masked(value)];
    if (key !== "ports") return [key, value];
    return [key, Array.isArray(value) ? value.map((item) => [item].flat()) : [[value]]];
  }));
}

function masked(destination: unknown): unknown {
  if (typeof destination !== "object" || destination === null) return destination;
  if (!("cidr" in destination) || typeof destination.cidr !== "string") return destination;
  return { ...destination, cidr: parseCidr(destination.cidr)?.text ?? destination.cidr };
}

export function flowQuery(flow: FlowVector["flow"]): FlowQuery {
  // What arrives in a ClientHello is bytes; a name that is none counts as not stated.
  const name = flow.sni ? nameFromWire(flow.sni) : null;
  return {
    direction: flow.direction === "ingress" ? "inbound" : "outbound",
    protocol: flow.protocol,
    address: flow.ip,
    ...(flow.port === null ? {} : { port: flow.port }),
    ...(name === null ? {} : { name }),
    phase: flow.phase === "syn" ? "opening" : "final",
  };
}

export function pinsOf(vector: FlowVector): PinTable {
  return fixedPins(vector.pins.map(({ name, ip }) => ({
    name: nameFromWire(name) ?? name,
    address: parseAddress(ip)?.text ?? ip,
  })));
}

export function hostsOf(vector: FlowVector): ReadonlySet<string> {
  return new Set(vector.host_ips.map((ip) => parseAddress(ip)?.text ?? ip));
}

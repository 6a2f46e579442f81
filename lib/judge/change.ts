/**
 * A change of the settings that would let something pass: as a value that can be tried, and as the option
 * of `sbx run` that makes it.
 *
 * @module
 */
import { compilePolicy } from "../policy/decide/compile.ts";
import type { Rule } from "../policy/model/policy.ts";
import { formatPorts } from "../policy/model/ports.ts";
import { formatTarget } from "../policy/model/target.ts";
import { formatRule } from "../policy/text/grammar.ts";
import type { Interception } from "../tls/interception.ts";
import type { Snapshot } from "./snapshot.ts";

export type Change =
  /** Rules in front of all others. */
  | { readonly kind: "rules"; readonly rules: readonly Rule[] }
  /** TCP ports that are intercepted, instead of those that are. */
  | { readonly kind: "ports"; readonly ports: readonly number[] }
  | { readonly kind: "bypass"; readonly name: string }
  | { readonly kind: "no-verify"; readonly host: string }
  /** `file` is the user's to name; it has the certificate that the server's chains to. */
  | { readonly kind: "upstream-ca"; readonly file: string }
  | { readonly kind: "opaque" | "quic" };

/** What would be in force after the change. */
export function applyChange(snapshot: Snapshot, change: Change): Snapshot {
  const { compiled: { policy }, tls } = snapshot;
  if (change.kind === "rules") {
    const rules = [...change.rules, ...policy.rules];
    return { ...snapshot, compiled: compilePolicy({ ...policy, rules }) };
  }
  return tls === null ? snapshot : { ...snapshot, tls: changedTls(tls, change) };
}

function changedTls(tls: Interception, change: Exclude<Change, { kind: "rules" }>): Interception {
  switch (change.kind) {
    case "ports":
      return { ...tls, ports: new Set(change.ports) };
    case "bypass":
      return { ...tls, bypass: tls.bypass.with(change.name) };
    case "no-verify": {
      const { unverified } = tls;
      return { ...tls, unverified: unverified === "all" ? "all" : unverified.with(change.host) };
    }
    case "upstream-ca":
      return { ...tls, authorities: [...tls.authorities, change.file] };
    case "opaque":
      return { ...tls, opaque: true };
    case "quic":
      return { ...tls, blockQuic: false };
  }
}

/** The options of `sbx run` that make the change, quoted for a shell. */
export function formatChange(change: Change): string {
  switch (change.kind) {
    case "rules":
      return change.rules.map(ruleOption).join(" ");
    case "ports":
      return change.ports.map((port) => `--tls-port ${port}`).join(" ");
    case "bypass":
      return `--tls-bypass ${change.name}`;
    case "no-verify":
      return `--no-verify-upstream=${change.host}`;
    case "upstream-ca":
      return `--upstream-ca ${change.file}`;
    case "opaque":
      return "--tls-opaque";
    case "quic":
      return "--no-block-quic";
  }
}

function ruleOption(rule: Rule): string {
  const { action, direction, destination, protocols, ports } = rule;
  if (action !== "allow" || direction !== "outbound" || protocols.length > 0) {
    return `--rule ${quoted(formatRule(rule))}`;
  }
  const target = formatTarget(destination);
  const bracketed = target.includes(":") ? `[${target}]` : target;
  return `--allow ${quoted(ports.length === 0 ? bracketed : `${bracketed}:${formatPorts(ports)}`)}`;
}

/** Brackets are a shell's pattern. */
function quoted(value: string): string {
  return value.includes("[") ? `'${value}'` : value;
}

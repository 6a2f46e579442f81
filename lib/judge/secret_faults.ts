/**
 * Secrets that could never be of use as they are declared, found before a guest boots. Pure.
 *
 * @module
 */
import { nameHasSuffix } from "../base/name.ts";
import type { Secret } from "../policy/model/secret.ts";
import type { PolicyFile } from "../policy/model/settings.ts";
import type { TlsSettings } from "../policy/model/tls_settings.ts";
import { hostText } from "../policy/text/secret_text.ts";
import { outcomeText } from "./outcome_text.ts";
import { outOfReach } from "./secret_reach.ts";
import type { Outcome } from "./simulate.ts";
import type { Snapshot } from "./snapshot.ts";

export interface SecretFault {
  /** Of the secret. */
  readonly name: string;
  readonly host: string;
  /** Completes "Cannot give NAME to HOST: ". */
  readonly state: string;
  readonly hint: string;
}

/** What keeps each secret from each of its hosts; none where nothing does. */
export function secretFaults(
  { tls, secrets: { secrets } }: Pick<PolicyFile, "tls" | "secrets">,
  snapshot: Snapshot,
): SecretFault[] {
  return secrets.flatMap(({ name, hosts }: Secret) =>
    hosts.flatMap((host) => {
      const why = unreadBecause(tls, host) ?? unreachedBecause(snapshot, host);
      return why === null ? [] : [{ name, host: hostText(host), ...why }];
    })
  );
}

type Why = Pick<SecretFault, "state" | "hint">;

/** A value goes only over TLS that is opened, to a server that has proved its name. */
function unreadBecause(tls: TlsSettings, host: string): Why | null {
  const bypassed = tls.bypass.find((pattern) => overlap(pattern, host));
  if (bypassed !== undefined) {
    return {
      state: `its TLS is not to be opened, by the bypass of ${hostText(bypassed)}`,
      hint: "leave it out of the bypassed names, or out of the hosts of the secret",
    };
  }
  const why = "a value goes only to a server that has proved its name";
  const hint =
    "verify it; --upstream-ca takes the authority of a server that the public ones do not";
  if (!tls.verifyUpstream) return { state: `servers are not verified, and ${why}`, hint };
  const unverified = tls.noVerify.find((pattern) => overlap(pattern, host));
  return unverified === undefined
    ? null
    : { state: `${hostText(unverified)} is not verified, and ${why}`, hint };
}

function unreachedBecause(snapshot: Snapshot, host: string): Why | null {
  const { policy } = snapshot.compiled;
  const outcome = outOfReach(snapshot, host);
  if (outcome === null) return null;
  const text = outcomeText(policy, "outbound", outcome);
  const state = !policy.network
    ? "the guest has no network"
    : outcome.stage === "name"
    ? text
    : `it is allowed on no port: ${text}`;
  return { state, hint: mendOf(outcome, host) };
}

function mendOf({ why: { reason } }: Outcome, host: string): string {
  switch (reason) {
    case "rule":
    case "default":
      return `allow it, as --allow ${quoted(`${hostText(host)}:443`)} would`;
    case "blocked-name":
      return "take it off the blocked names, or out of the hosts of the secret";
    default:
      return `sbx policy explain ${reason} says what that means`;
  }
}

/** A star is a shell's pattern. */
function quoted(text: string): string {
  return text.includes("*") ? `'${text}'` : text;
}

/** Whether a name could match both; either may be a suffix that begins with a dot. */
function overlap(one: string, other: string): boolean {
  return takesIn(one, other) || takesIn(other, one);
}

function takesIn(pattern: string, other: string): boolean {
  const name = other.startsWith(".") ? other.slice(1) : other;
  return pattern.startsWith(".") ? nameHasSuffix(name, pattern.slice(1)) : pattern === other;
}

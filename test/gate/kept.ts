/**
 * A gate over secrets in the test's hands, and what it told.
 *
 * @module
 */
import { secretGate, type SecretGateSpec } from "../../lib/gate/secret_gate.ts";
import type { GateSession } from "../../lib/gate/session.ts";
import type { RequestGate } from "../../lib/http/gate.ts";
import { isHostOf } from "../../lib/policy/model/secret.ts";
import type { HeldSecret } from "../../lib/secret/grant.ts";
import type { SecretUse, SecretViolation } from "../../lib/secret/report.ts";
import { Tripwire } from "../../lib/secret/tripwire.ts";
import type { Vault } from "../../lib/secret/vault.ts";
import { API } from "../secret/held.ts";

/** Verified TLS to the pinned address of {@link API}. */
export const TRUSTED: GateSession = {
  open: true,
  verified: true,
  sni: API,
  isPinned: (name) => name === API,
};

export function vaultOf(all: readonly HeldSecret[], changes: Partial<Vault> = {}): Vault {
  const heldFor = (host: string) => all.filter(({ secret }) => isHostOf(secret, host));
  return {
    kept: all,
    onViolation: "block",
    tripwire: new Tripwire(
      all.map(({ secret: { name }, placeholder }) => ({ name, placeholder })),
    ),
    heldFor,
    known: heldFor,
    permit: () => {},
    ...changes,
  };
}

export interface Gated {
  readonly gate: RequestGate;
  readonly uses: SecretUse[];
  readonly violations: SecretViolation[];
  readonly kept: readonly HeldSecret[];
}

export function gateOf(
  all: readonly HeldSecret[],
  changes: Partial<Pick<SecretGateSpec, "judge" | "session" | "vault">> = {},
): Gated {
  const uses: SecretUse[] = [];
  const violations: SecretViolation[] = [];
  const gate = secretGate({
    judge: () => null,
    vault: vaultOf(all),
    session: TRUSTED,
    onUse: (use) => uses.push(use),
    onViolation: (violation) => violations.push(violation),
    ...changes,
  });
  return { gate, uses, violations, kept: all };
}

/** What was told of uses, in short. */
export function told({ uses }: Gated): string[] {
  return uses.map(({ name, what, place, count }) => `${name} ${what} ${place} ${count}`);
}

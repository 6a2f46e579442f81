/**
 * What a policy file has, and what in it does not do what it seems to.
 *
 * @module
 */
import { type SecretFault, secretFaults } from "../judge/secret_faults.ts";
import { type Warning, warnings } from "../policy/decide/warnings.ts";
import type { PolicyFile } from "../policy/model/settings.ts";
import { readBlockedNames } from "../sandbox/blocked_names.ts";
import { snapshotHere } from "./snapshot.ts";

/** A secret that no request of the guest's would ever get. */
export interface UnreachableSecret {
  /** What kind of warning it is. */
  readonly code: "secret-unreachable";
  /** Its name. */
  readonly secret: string;
  /** The host that it cannot be given to. */
  readonly host: string;
  /** One sentence without a full stop. */
  readonly message: string;
}

/** What `NetworkPolicy.check` found in a policy file. */
export interface PolicyCheck {
  /** How many rules it has. */
  readonly rules: number;
  /** How many names never resolve under it, with those of its lists. */
  readonly blockedNames: number;
  /** How many secrets it declares. */
  readonly secrets: number;
  /** How many expectations it has; `NetworkPolicy.test` tells what becomes of them. */
  readonly expectations: number;
  /** What does not do what it seems to. */
  readonly warnings: readonly (Warning | UnreachableSecret)[];
}

/** See `NetworkPolicy.check`. */
export async function checkPolicy(file: PolicyFile): Promise<PolicyCheck> {
  const { secrets } = file.secrets;
  const blocked = await readBlockedNames(file.dns);
  const faults = secrets.length === 0 ? [] : secretFaults(file, await snapshotHere(file));
  return {
    rules: file.policy.rules.length,
    blockedNames: blocked.size,
    secrets: secrets.length,
    expectations: file.expect.length,
    warnings: [...warnings(file.policy), ...faults.map(unreachable)],
  };
}

function unreachable({ name, host, state }: SecretFault): UnreachableSecret {
  const message = `secret ${name} cannot be given to ${host}: ${state}`;
  return { code: "secret-unreachable", secret: name, host, message };
}

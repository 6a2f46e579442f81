/**
 * A sandbox whose secrets could never be of use is not started: it would look as if their values were
 * wrong.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { hostNetwork, hostsFileEntries } from "../host/network.ts";
import { fileSnapshot } from "../judge/file_snapshot.ts";
import { secretFaults } from "../judge/secret_faults.ts";
import { readBlockedNames } from "./blocked_names.ts";
import type { NetworkOptions } from "./options.ts";

/** @throws SbxError SECRET_INVALID, or as `readBlockedNames` does */
export async function refuseUselessSecrets(network: NetworkOptions): Promise<void> {
  if (network.secrets.secrets.length === 0) return;
  const [blocked, hosts] = await Promise.all([readBlockedNames(network.dns), hostsFileEntries()]);
  const snapshot = fileSnapshot(network, blocked, hostNetwork(), hosts);
  const [fault] = secretFaults(network, snapshot);
  if (fault === undefined) return;
  const { name, host, state, hint } = fault;
  throw new SbxError("SECRET_INVALID", `Cannot give secret ${name} to ${host}: ${state}`, { hint });
}

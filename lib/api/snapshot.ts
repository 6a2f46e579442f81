/**
 * What a sandbox that is started on this machine would judge by.
 *
 * @module
 */
import { hostNetwork, hostsFileEntries } from "../host/network.ts";
import { fileSnapshot } from "../judge/file_snapshot.ts";
import type { Snapshot } from "../judge/snapshot.ts";
import type { PolicyFile } from "../policy/model/settings.ts";
import { readBlockedNames } from "../sandbox/blocked_names.ts";

/**
 * The first snapshot under a policy file, or the network of a sandbox, with this machine's addresses, networks and hosts file.
 *
 * @throws SbxError FILE_UNREADABLE, or POLICY_INVALID with file and line
 */
export async function snapshotHere(
  file: Pick<PolicyFile, "policy" | "dns" | "tls" | "secrets">,
): Promise<Snapshot> {
  const [blocked, hosts] = await Promise.all([readBlockedNames(file.dns), hostsFileEntries()]);
  return fileSnapshot(file, blocked, hostNetwork(), hosts);
}

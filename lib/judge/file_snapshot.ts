/**
 * The snapshot that a sandbox under a policy file would have.
 *
 * @module
 */
import { LINK } from "../base/link.ts";
import type { HostEntry } from "../dns/hosts_file.ts";
import { KnownNames } from "../dns/known_names.ts";
import { fixedPins } from "../policy/model/fixed_pins.ts";
import type { NameSet } from "../policy/model/name_set.ts";
import type { PolicyFile } from "../policy/model/settings.ts";
import { readInterception } from "../tls/interception.ts";
import { type Machine, type Snapshot, snapshotOf } from "./snapshot.ts";

/** A machine of which nothing is known but that the guest's gateway stands for it. */
const NO_MACHINE: Machine = { addresses: [], links: [] };

/**
 * Of a guest that has resolved nothing yet. `blocked` holds every name that the file blocks, `hosts` the
 * names that the machine itself knows.
 */
export function fileSnapshot(
  { policy, dns, tls, secrets }: Pick<PolicyFile, "policy" | "dns" | "tls" | "secrets">,
  blocked: NameSet,
  machine: Machine = NO_MACHINE,
  hosts: readonly HostEntry[] = [],
): Snapshot {
  const { blockDoh, rebindProtection } = dns;
  const known = new KnownNames({ user: dns.hosts ?? [], gateway: LINK.gateway.ip4, hosts });
  const interception = readInterception(tls, secrets);
  const settings = { policy, blocked, blockDoh, rebindProtection, known, interception };
  return snapshotOf(settings, machine, fixedPins([]));
}

/**
 * What a plan becomes for the agent, whatever machine it runs in: the request that sets the guest up,
 * and the archive of its files.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { AgentConfig } from "./agent/client.ts";
import { ownEntries } from "./own_entries.ts";
import { type GuestPlan, mountShares, rootShares, type Transport } from "./plan.ts";
import { type MakeDatabase, nssEntries } from "./root/nss_database.ts";
import { packTar } from "./root/tar.ts";
import {
  AUTHORITY,
  bytesOf,
  type GuestTrust,
  TRUST_VARIABLES,
  trustEntries,
} from "./root/trust.ts";

/** The request, for mounts that come by the transport. `entropy` is at least 32 random bytes that no other guest gets. Pure. */
export function configuration(
  plan: GuestPlan,
  { authority }: GuestTrust,
  entropy: Uint8Array,
  by: Transport,
): AgentConfig {
  const { hostname, root, files, network } = plan;
  return {
    hostname,
    entropy: Buffer.from(entropy).toString("base64"),
    trees: rootShares(plan).map(({ tag, at }) => ({ tag, at })),
    mounts: [
      ...mountShares(plan).map(({ tag, at, readOnly }) => ({ tag, at, readOnly, ...by })),
      ...files.map(({ entry, at }) => ({ file: entry.path, at, readOnly: true })),
    ],
    links: root.links,
    home: root.home,
    env: root.env,
    ...(authority === undefined
      ? {}
      : { trust: { authority: AUTHORITY, variables: TRUST_VARIABLES } }),
    ...(network === undefined ? {} : {
      network: {
        mtu: network.mtu,
        guest4: network.guest4,
        gateway4: network.gateway4,
        guest6: network.guest6,
        gateway6: network.gateway6,
      },
    }),
  };
}

/** The archive of everything that is in no share. Of two entries for one path the later one stays. */
export async function archive(
  { hostname, machineId, root, files, network }: GuestPlan,
  trust: GuestTrust,
  makeDatabase: MakeDatabase,
): Promise<Uint8Array> {
  return packTar([
    ...files.map(({ entry }) => entry),
    ...root.entries(),
    ...ownEntries({
      hostname,
      machineId,
      search: network?.search ?? [],
      ...(network === undefined ? {} : { resolver: network.gateway4 }),
    }),
    ...await trustEntries(trust, root.trustStores),
    ...await nssEntries((trust.authority ?? []).map(bytesOf), root.home, makeDatabase),
  ]);
}

/**
 * What a plan becomes for the agent, whatever machine it runs in: two requests, each with an archive of
 * files. The first is the same for every guest with one root, and has nothing of a plan beside it; what
 * makes the guest somebody's is in the second.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { AgentConfig, AgentPreparation, AgentRenewal } from "./agent/client.ts";
import { isInherited } from "./disk.ts";
import { ownEntries } from "./own_entries.ts";
import {
  type CommonPlan,
  type GuestPlan,
  mountShares,
  rootShares,
  type Transport,
  transportOf,
} from "./plan.ts";
import { type MakeDatabase, nssEntries } from "./root/nss_database.ts";
import { fitsLayer } from "./root/layer.ts";
import type { Root } from "./root/root.ts";
import type { TarEntry } from "./root/tar.ts";
import {
  AUTHORITY,
  bytesOf,
  type GuestTrust,
  TRUST_VARIABLES,
  trustEntries,
} from "./root/trust.ts";

/**
 * The first request. `modules` are lists of kernel modules that shares need, which come by the transport where
 * somebody named them. `resumed`: at least 32 random bytes that no other guest gets, where the machine was saved
 * before, and got its devices since. Pure.
 */
export function preparation(
  plan: Pick<CommonPlan, "network"> & Pick<GuestPlan, "root" | "disk" | "saving">,
  modules: readonly string[],
  by: Transport = { transport: "9p" },
  resumed?: Uint8Array,
): AgentPreparation {
  const { root: { home, links }, network, disk, saving } = plan;
  return {
    home,
    links,
    modules,
    ...(resumed === undefined ? {} : { resumed: { entropy: base64(resumed) } }),
    trees: rootShares(plan).map(({ tag, at, isPrivate }) => ({
      tag,
      at,
      ...(saving !== undefined ? by : isPrivate ? { transport: by.transport } : {}),
    })),
    ...(disk === undefined ? {} : {
      disk: {
        kept: isInherited(disk),
        ...(disk.owner === undefined ? {} : { owner: disk.owner }),
      },
    }),
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

/** What a root has beside its shares, and whom its programs trust. */
export interface RootEntries {
  /** What the first archive has. */
  readonly early: readonly TarEntry[];
  /** What can only be written once the shares are there. */
  readonly late: readonly TarEntry[];
}

export async function rootEntries(root: Root): Promise<RootEntries> {
  const trusted = await trustEntries({ roots: root.publicRoots }, root.trustStores);
  const all = [...root.entries(), ...trusted];
  const late = all.filter(({ path }) => !fitsLayer(path, root.shares));
  return { early: all.filter((entry) => !late.includes(entry)), late };
}

/**
 * The second request, for mounts that come by the transport. `entropy` is at least 32 random bytes that no
 * other guest gets. `unseen`: the devices of the mounts came after the kernel had looked for devices. Pure.
 */
export function configuration(
  plan: GuestPlan,
  { authority }: GuestTrust,
  entropy: Uint8Array,
  by: Transport,
  unseen = false,
): AgentConfig {
  const { hostname, root, files, mounts } = plan;
  return {
    hostname,
    ...(unseen && mounts.length > 0 ? { newDevices: true as const } : {}),
    entropy: base64(entropy),
    mounts: [
      ...mountShares(plan).map(({ path: _, isPrivate: __, ...share }) => ({
        ...share,
        ...transportOf(share, by),
      })),
      ...files.map(({ entry, at }) => ({ file: entry.path, at, readOnly: true })),
    ],
    env: root.env,
    ...(authority === undefined
      ? {}
      : { trust: { authority: AUTHORITY, variables: TRUST_VARIABLES } }),
  };
}

/** What makes a machine that goes on from another one's memory somebody's. `entropy` as before. Pure. */
export function renewal(plan: GuestPlan, entropy: Uint8Array): AgentRenewal {
  const { hostname, root: { env }, disk } = plan;
  return {
    hostname,
    env,
    entropy: base64(entropy),
    ...(disk?.owner === undefined ? {} : { owner: disk.owner }),
  };
}

/** Its archive: all else that a guest has, it has already. Pure. */
export function renewedEntries({ hostname, machineId, network }: GuestPlan): readonly TarEntry[] {
  return ownEntries({
    hostname,
    machineId,
    search: network?.search ?? [],
    ...(network === undefined ? {} : { resolver: network.gateway4 }),
  });
}

/** What the second archive has. An entry replaces what the path had before. */
export async function guestEntries(
  { hostname, machineId, root, files, network, disk }: GuestPlan,
  { late }: RootEntries,
  trust: GuestTrust,
  makeDatabase: MakeDatabase,
): Promise<readonly TarEntry[]> {
  return [
    ...late,
    ...files.map(({ entry }) => entry),
    ...ownEntries({
      hostname,
      machineId,
      search: network?.search ?? [],
      ...(network === undefined ? {} : { resolver: network.gateway4 }),
    }),
    // Where somebody's root is on the disk, those of the root were only written once.
    ...(isPublic(trust, root) && (disk === undefined || !isInherited(disk))
      ? []
      : await trustEntries(trust, root.trustStores)),
    ...await nssEntries((trust.authority ?? []).map(bytesOf), root.home, makeDatabase),
  ];
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

function isPublic({ roots, authority }: GuestTrust, { publicRoots }: Root): boolean {
  return authority === undefined && roots.length === publicRoots.length &&
    roots.every((pem, index) => pem === publicRoots[index]);
}

/**
 * What a guest is to be, decided before any machine runs: a value, the same for every provider.
 *
 * @module
 */
import type { GuestDisk } from "./disk.ts";
import type { Saving } from "./saved.ts";
import type { MountedFile } from "./root/mounted_files.ts";
import type { Root } from "./root/root.ts";
import type { GuestTrust } from "./root/trust.ts";

/** A directory of this machine that the guest sees as it is. */
export interface GuestMount {
  /** Absolute, without links. */
  readonly host: string;
  readonly guest: string;
  /** Nothing is written to the directory of this machine. */
  readonly readOnly: boolean;
  /** Absent: both sides use it. Else nobody else writes to it, and of a `copy` the guest has a layer of its own. */
  readonly as?: "cached" | "copy";
}

/** The guest's end of its cable, the same for every guest. */
export interface GuestLink {
  readonly mac: string;
  readonly mtu: number;
  readonly guest4: string;
  readonly gateway4: string;
  readonly guest6: string;
  readonly gateway6: string;
}

/** What a guest with a network has to know. */
export interface GuestNetwork extends GuestLink {
  /** Domains to append to bare names, in order. */
  readonly search: readonly string[];
}

export interface GuestPlan {
  readonly hostname: string;
  /** 32 lower-case hexadecimal digits that no other guest has. */
  readonly machineId: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  /** Absent: all that the guest writes is in its memory. */
  readonly disk?: GuestDisk;
  readonly root: Root;
  readonly mounts: readonly GuestMount[];
  /** Single files, as copies that the guest cannot change. */
  readonly files: readonly MountedFile[];
  /** Absent: no network device. */
  readonly network?: GuestNetwork;
  /** Whether it may go on from a template. */
  readonly template: boolean;
  /** How its machine can be saved while it runs. Absent: it cannot. */
  readonly saving?: Saving;
  /** Asked once the machine boots, which takes longer than the answer. */
  readonly trust: () => Promise<GuestTrust>;
}

/** What guests have in common that can go on from one template. */
export interface CommonPlan extends Pick<GuestPlan, "cpus" | "memoryMiB"> {
  /** Absent: each has its own, which it gets once it goes on. */
  readonly root?: Root;
  /** Absent: no network device. */
  readonly network?: GuestLink;
}

/** A directory that the machine offers to the guest by a tag. */
export interface Share {
  readonly tag: string;
  readonly path: string;
  readonly at: string;
  readonly readOnly: boolean;
  /** Of a root: one that holds files which are not everybody's to read. */
  readonly isPrivate: boolean;
  readonly as?: "cached" | "copy";
}

/** How the directories that the user named get into the guest. */
export type Transport =
  | { readonly transport: "9p" }
  /** `files`: how many files a mount's daemon can have open, those that the guest only knows among them. */
  | { readonly transport: "virtiofs"; readonly files: number };

/**
 * How one of them does, where `by` is for those that both sides use. The layer over a copy opens files without
 * a change of their access times, which a file daemon refuses for those of others, and 9p does without.
 */
export function transportOf<T extends { readonly transport: Transport["transport"] }>(
  { as }: Pick<GuestMount, "as">,
  by: T,
): T | { readonly transport: "9p" } {
  return as === "copy" ? { transport: "9p" } : by;
}

/** The shares of the root, in its order. They are never written: the guest has a layer of its own over them. */
export function rootShares({ root }: { readonly root: Pick<Root, "shares"> }): Share[] {
  return root.shares.map(({ path, at, isPrivate = false }, index) => ({
    tag: `tree${index}`,
    path,
    at,
    readOnly: true,
    isPrivate,
  }));
}

/** The shares that somebody named: a tree of the root's, then the mounts in the plan's order. */
export function namedShares(
  plan: Pick<GuestPlan, "mounts"> & { readonly root: Pick<Root, "shares"> },
): Share[] {
  return [...rootShares(plan).filter(({ isPrivate }) => isPrivate), ...mountShares(plan)];
}

/** The shares that come by the transport: of a machine that can be saved all, since QEMU saves none with its own. */
export function carriedShares(
  plan: Pick<GuestPlan, "mounts" | "saving"> & { readonly root: Pick<Root, "shares"> },
): Share[] {
  return plan.saving === undefined
    ? namedShares(plan)
    : [...rootShares(plan), ...mountShares(plan)];
}

/** Whether the root is a tree that somebody named. */
export function hasTree({ root }: { readonly root: Pick<Root, "shares"> }): boolean {
  return root.shares.some(({ isPrivate }) => isPrivate);
}

/** The mounts, in the plan's order. */
export function mountShares({ mounts }: Pick<GuestPlan, "mounts">): Share[] {
  return mounts.map(({ host, guest, ...mount }, index) => ({
    tag: `mount${index}`,
    path: host,
    at: guest,
    isPrivate: false,
    ...mount,
  }));
}

/**
 * The guest that a sandbox's options ask for. Pure.
 *
 * @module
 */
import type { GuestNetwork, GuestPlan } from "../guest/plan.ts";
import type { MountedFile } from "../guest/root/mounted_files.ts";
import type { Root } from "../guest/root/root.ts";
import type { FoundMount } from "./mounts.ts";
import type { SandboxOptions } from "./options.ts";

/** What was found out for a guest beside its options. */
export interface GuestParts extends Pick<GuestPlan, "trust" | "machineId" | "disk" | "saving"> {
  readonly root: Root;
  /** All that were asked for, single files among them. */
  readonly mounts: readonly FoundMount[];
  /** The copies of those. */
  readonly files: readonly MountedFile[];
  /** Absent: no network device. */
  readonly network?: GuestNetwork;
}

export function guestPlan(
  { name, hostname, cpus, memoryMiB, template }: SandboxOptions,
  { mounts, ...parts }: GuestParts,
): GuestPlan {
  const directories = mounts.filter(({ file }) => file === undefined);
  return {
    ...parts,
    hostname: hostname ?? name,
    cpus,
    memoryMiB,
    template,
    mounts: directories.map(({ file: _, ...mount }) => mount),
  };
}

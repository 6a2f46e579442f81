/**
 * What a guest that is stopped may take to write back what it still holds. Pure.
 *
 * @module
 */
import type { GuestPlan } from "../plan.ts";

/** Of a mount only what is mapped into memory is left. */
const MOUNT_MS = 1_000;

/** A disk may lack a fifth of the guest's memory, and is sound without it. */
const DISK_MS = 10_000;

/** In milliseconds; 0: nobody would see it. */
export function writeBackMs({ mounts, disk }: Pick<GuestPlan, "mounts" | "disk">): number {
  if (disk?.path !== undefined) return DISK_MS;
  return mounts.some(({ readOnly }) => !readOnly) ? MOUNT_MS : 0;
}

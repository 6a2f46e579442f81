/**
 * What QEMU has to be able to do with the directories that it shares, for root as for anybody.
 *
 * @module
 */
import { statSync } from "node:fs";
import { dirname } from "node:path";
import type { GuestMount } from "../plan.ts";
import type { FilesNeeded } from "./identity.ts";

export function filesNeeded(mounts: readonly GuestMount[]): FilesNeeded {
  if (mounts.some(({ readOnly }) => !readOnly)) return "writable";
  return mounts.every(({ host }) => openToAll(host)) ? "public" : "private";
}

function openToAll(path: string): boolean {
  for (let dir = path;; dir = dirname(dir)) {
    const { mode } = statSync(dir);
    if ((mode & 0o001) === 0) return false;
    if (dir === dirname(dir)) return (statSync(path).mode & 0o004) !== 0;
  }
}

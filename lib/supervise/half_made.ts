/**
 * What processes that were killed left half made, or half removed, of what appears and disappears by a rename.
 *
 * @module
 */
import { readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { isLocked } from "../host/file_lock.ts";

/** What is half made for so long, and by nobody, is not being made any more. */
const ABANDONED_MS = 60_000;

/** Removes it from a directory; what cannot be removed stays for the next time. */
export async function sweepHalfMade(directory: string): Promise<void> {
  for (const name of await readdir(directory).catch(() => [])) {
    if (!name.startsWith(".new-") && !name.startsWith(".gone-")) continue;
    const path = join(directory, name);
    const since = (await stat(path).catch(() => null))?.mtimeMs ?? 0;
    if (Date.now() - since < ABANDONED_MS || isMade(path)) continue;
    await rm(path, { recursive: true, force: true }).catch(() => {});
  }
}

/** Its maker holds its lock for as long as he lives: a copy of a disk takes its time. */
function isMade(path: string): boolean {
  try {
    return isLocked(join(path, "lock"));
  } catch {
    return false;
  }
}

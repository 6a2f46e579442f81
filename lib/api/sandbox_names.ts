/**
 * The names of sandboxes and the tags of snapshots, for who has no time to look at each.
 *
 * @module
 */
import { readdirSync } from "node:fs";
import { sandboxesDir, snapshotsDir } from "../supervise/home.ts";
import { isSandboxName } from "../supervise/sandbox_name.ts";

/** In order; none where they cannot be listed. */
export function sandboxNamesHere(): readonly string[] {
  return namesIn(sandboxesDir());
}

/** The same for snapshots. */
export function snapshotTagsHere(): readonly string[] {
  return namesIn(snapshotsDir());
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory).filter(isSandboxName).toSorted();
  } catch {
    return [];
  }
}

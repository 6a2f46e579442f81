/**
 * Files that decide over runs, against directories that the guest may write. What sbx keeps for later
 * runs must lie outside of them; what the user wrote was read before the guest ran, and a word says
 * that the next run will read what the guest made of it.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { holds, locate, locateEach, type Location, readMountTable } from "./directory_tree.ts";
import type { Mount } from "./options.ts";

export interface GuardedFiles {
  /** Directories that sbx keeps things in, with what moves each elsewhere. */
  readonly own: readonly {
    readonly path: string;
    readonly what: string;
    readonly variable: string;
  }[];
  /** Where the journal goes, unless that is no file. */
  readonly journal?: string;
  /** The file that keeps the guest's disk. */
  readonly disk?: string;
  /** What this run read, and the next one of the same kind reads again. */
  readonly inputs: readonly string[];
}

/**
 * The files among `inputs` that the guest can change.
 *
 * @throws SbxError USAGE when a writable mount holds, or lies in, what sbx keeps
 */
export async function guardFiles(
  mounts: readonly Mount[],
  { own, journal, disk, inputs }: GuardedFiles,
): Promise<string[]> {
  const writable = await Promise.all(
    mounts.filter(({ readOnly }) => !readOnly).map(({ host }) => locate(host)),
  );
  if (writable.length === 0) return [];
  const table = await readMountTable();
  const reaches = (places: readonly Location[]) =>
    writable.find((mount) => places.some((place) => holds(mount, place, table)));
  for (const { path, what, variable } of own) {
    const kept = await locate(path);
    const mount = reaches([kept, ...await locateEach(path)]) ??
      writable.find((mount) => holds(kept, mount, table));
    if (mount === undefined) continue;
    throw new SbxError(
      "USAGE",
      `Cannot mount ${escapeText(mount.path)} writable: sbx keeps ${what} in ${
        escapeText(path)
      }, ` +
        "which the guest could change",
      {
        hint:
          `mount it with :ro, mount a directory apart from that, or point ${variable} elsewhere`,
      },
    );
  }
  if (journal !== undefined && reaches(await locateEach(journal)) !== undefined) {
    throw new SbxError(
      "USAGE",
      `Cannot write the journal ${escapeText(journal)}: it is inside a writable mount, where the ` +
        "guest could change it",
      { hint: "give --log a file outside of every mount, or mount the directory with :ro" },
    );
  }
  // A guest that could name another file so would have that one's bytes.
  if (disk !== undefined && reaches(await locateEach(disk)) !== undefined) {
    throw new SbxError(
      "USAGE",
      `Cannot keep a disk in ${escapeText(disk)}: it is inside a writable mount, where the guest ` +
        "could put another file in its place",
      { hint: "keep it outside of every mount, or mount the directory with :ro" },
    );
  }
  const changeable: string[] = [];
  for (const path of new Set(inputs)) {
    if (reaches(await locateEach(path)) !== undefined) changeable.push(path);
  }
  return changeable;
}

/**
 * What sbx needs of the process that it is and the place that it stands in, checked before a sandbox
 * is started: half-way through, the same faults have many faces and no names.
 *
 * @module
 */
import { accessSync, constants } from "node:fs";
import { SbxError } from "../base/errors.ts";
import { systemCode } from "../base/file_error.ts";
import { ownSystem } from "./own_system.ts";

/** Files that a sandbox with a network opens at its start, and some for what comes then. */
const FILES = 32;

/**
 * Whether this process may open the files that one more sandbox takes. The runtime has raised the
 * soft limit to the hard one. Unknown counts as enough.
 *
 * @throws SbxError REQUIREMENT_MISSING
 */
export function requireFiles(): void {
  const left = filesLeft();
  if (left >= FILES) return;
  throw new SbxError(
    "REQUIREMENT_MISSING",
    `Cannot start a sandbox: it opens ${FILES} files, and this process may open ${left} more`,
    { hint: "raise the limit: 'ulimit -n 1024'" },
  );
}

function filesLeft(): number {
  const { processes } = ownSystem();
  try {
    return Math.max(processes.fileLimit().soft - processes.filesOpen(), 0);
  } catch (error) {
    return systemCode(error) === "EMFILE" ? 0 : Infinity;
  }
}

/**
 * A program that was unpacked into the cache must be one that can run from there.
 *
 * @throws SbxError REQUIREMENT_MISSING
 */
export function requireExecutable(path: string): void {
  try {
    accessSync(path, constants.X_OK);
  } catch (cause) {
    throw new SbxError(
      "REQUIREMENT_MISSING",
      `Cannot run ${path}: no program may be run from the file system that it is on`,
      { cause, hint: "point XDG_CACHE_HOME at a directory that is not mounted noexec" },
    );
  }
}

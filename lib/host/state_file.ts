/**
 * The file that a machine's state goes to: its own, which appears empty and that nobody else can open, and is empty
 * again when the machine goes on.
 *
 * @module
 */
import { constants, openSync, rmSync, truncateSync } from "node:fs";
import { dirname } from "node:path";
import { fileError } from "../base/file_error.ts";
import { freeBytes } from "./free_space.ts";

const { O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants;

/** The descriptor is the caller's to close. @throws SbxError FILE_UNREADABLE */
export function openState(path: string): number {
  try {
    rmSync(path, { force: true }); // of an earlier life of the machine
    return openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600);
  } catch (cause) {
    throw fileError("keep a machine's state in", path, cause);
  }
}

/** What it had is there no more, where that can be; its room is the next guest's. */
export function emptyState(path: string): void {
  try {
    truncateSync(path, 0);
  } catch {
    // It was removed, with the sandbox perhaps.
  }
}

/** How many bytes are free where it is. @throws SbxError FILE_UNREADABLE */
export function roomForState(path: string): number {
  try {
    return freeBytes(dirname(path));
  } catch (cause) {
    throw fileError("keep a machine's state in", path, cause);
  }
}

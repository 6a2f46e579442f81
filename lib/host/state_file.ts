/**
 * The file that a machine's state goes to: its own, which appears empty and that nobody else can open.
 *
 * @module
 */
import { constants, openSync, rmSync } from "node:fs";
import { fileError } from "../base/file_error.ts";

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

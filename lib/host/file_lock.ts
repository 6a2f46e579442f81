/**
 * A lock that is held for as long as its holder lives: the kernel lets go of it, whatever ended him.
 *
 * @module
 */
import { closeSync, constants, fstatSync, openSync, statSync } from "node:fs";
import { systemCode } from "../base/file_error.ts";
import { ownSystem } from "./own_system.ts";

export interface FileLock {
  release(): void;
}

/**
 * The lock at a path, which is made there; null while somebody else holds it, or when its directory was
 * removed meanwhile.
 */
export function lockFile(path: string): FileLock | null {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const fd = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  if (ownSystem().files.tryLock(fd) && isAt(path, fd)) return { release: () => closeSync(fd) };
  closeSync(fd);
  return null;
}

/**
 * The lock at a path, beside others who have it so: nobody takes it for himself meanwhile, and whoever looks sees
 * it free. Null while somebody has it for himself.
 */
export function shareLock(path: string): FileLock | null {
  const { O_RDWR, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
  const fd = openSync(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600);
  if (ownSystem().files.tryShare(fd) && isAt(path, fd)) return { release: () => closeSync(fd) };
  closeSync(fd);
  return null;
}

/**
 * Whether somebody holds the lock at a path. Any number may look at once and see the same; whoever wants the
 * lock in that moment has to try again.
 */
export function isLocked(path: string): boolean {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  let fd: number;
  try {
    fd = openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  } catch (cause) {
    if (systemCode(cause) === "ENOENT") return false;
    throw cause;
  }
  try {
    return !ownSystem().files.tryShare(fd);
  } finally {
    closeSync(fd);
  }
}

/** A lock on a file that was removed keeps nobody out of the one that took its place. */
function isAt(path: string, fd: number): boolean {
  try {
    const [held, there] = [fstatSync(fd), statSync(path)];
    return held.ino === there.ino && held.dev === there.dev;
  } catch (cause) {
    if (systemCode(cause) === "ENOENT") return false;
    throw cause;
  }
}

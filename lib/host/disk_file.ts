/**
 * The file of a guest's disk. It is sparse: it takes up what the guest has written, and what it deletes is given
 * back.
 *
 * A disk that goes with its guest never has a name, so nothing is left of it however sbx ends. One that is
 * kept appears whole. That no two guests have one at once is QEMU's lock.
 *
 * @module
 */
import { randomBytes } from "node:crypto";
import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  openSync,
  unlinkSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import { fileError, systemCode } from "../base/file_error.ts";
import { formatSize, wholeMiB } from "../base/size.ts";
import { DISK_RANDOM, type GuestDisk, newFileSystem } from "../guest/disk.ts";
import { readFile } from "node:fs/promises";
import { type CopyOptions, copySparse } from "./disk_copy.ts";
import { freeBytes } from "./free_space.ts";
import { ownSystem } from "./own_system.ts";
import { stateDir } from "./paths.ts";
import { requireOwn as requireOwnPlace, STATE } from "./private_place.ts";

const { O_RDONLY, O_RDWR, O_NOFOLLOW, O_NONBLOCK } = constants;

const SOME_ROOM = "free some space there, or use a directory on another file system";

/**
 * Opens the disk, which is made when there is none yet, from the file of an empty one. The descriptor is the
 * caller's to close.
 *
 * @throws SbxError FILE_UNREADABLE
 */
export async function openDisk(disk: GuestDisk, empty: string): Promise<number> {
  const { bytes, path, from } = disk;
  if (from !== undefined) return await openCopy(from, bytes);
  const image = newFileSystem(await readFile(empty), randomBytes(DISK_RANDOM));
  if (path !== undefined) return openKept(path, bytes) ?? makeKept(path, bytes, image);
  const directory = stateDir();
  await requireOwnPlace(directory, STATE);
  const fd = openNameless(directory);
  return closingOnFailure(fd, "make a disk in", directory, () => fill(fd, bytes, image));
}

/** A disk that goes with its guest, and begins as another one is. */
async function openCopy(from: string, bytes: number): Promise<number> {
  const original = openStill(from);
  try {
    const directory = stateDir();
    await requireOwnPlace(directory, STATE);
    const fd = openNameless(directory);
    return await closingOnFailureLater(fd, "make a disk in", directory, async () => {
      await copySparse(original, fd, { bytes }, () => requireRoom(original, directory));
    });
  } finally {
    closeSync(original);
  }
}

/**
 * Makes the file of a disk as another one is, which is open for reading and which nobody writes to. What came of it
 * when it fails is left.
 *
 * @throws SbxError FILE_NO_SPACE, FILE_UNREADABLE, and the signal's reason
 */
export async function copyDisk(
  original: number,
  path: string,
  options: CopyOptions,
): Promise<void> {
  const fd = attempt("make the disk", path, () => openSync(path, "wx+", 0o600));
  await closingOnFailureLater(fd, "make the disk", path, async () => {
    await copySparse(original, fd, options, () => requireRoom(original, dirname(path)));
  });
  closeSync(fd);
}

/** A copy that takes the last room would be the end of every guest that writes to the same file system. */
function requireRoom(original: number, directory: string): void {
  const [free, needed] = [freeBytes(directory), fstatSync(original).blocks * 512];
  if (needed <= free) return;
  const state = `it takes ${wholeMiB(needed)}, and ${wholeMiB(free)} are free`;
  throw new SbxError("FILE_NO_SPACE", `Cannot copy a disk to ${escapeText(directory)}: ${state}`, {
    hint: SOME_ROOM,
    state,
  });
}

/** Opens a disk that is to be read while nobody writes to it. @throws SbxError FILE_UNREADABLE */
export function openStill(path: string): number {
  const fd = attempt(
    "read the disk",
    path,
    () => openSync(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK),
  );
  return closingOnFailure(fd, "read the disk", path, (fd) => void requireOwn(path, fd));
}

/** Where the file system has no files without a name, it has one for a moment, while it is empty. */
function openNameless(directory: string): number {
  const nameless = ownSystem().files.openNameless(directory);
  if (nameless !== null) return nameless;
  const path = besides(join(directory, "disk"));
  return attempt("make a disk in", directory, () => {
    const fd = openSync(path, "wx+", 0o600);
    unlinkSync(path);
    return fd;
  });
}

/** Undefined when there is none. */
function openKept(path: string, bytes: number): number | undefined {
  let fd;
  try {
    fd = openSync(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK);
  } catch (cause) {
    if (systemCode(cause) === "ENOENT") return undefined;
    throw fileError("use the disk", path, cause);
  }
  return closingOnFailure(fd, "use the disk", path, (fd) => {
    const { size } = requireOwn(path, fd);
    if (size > bytes) {
      throw unusable(path, `it has ${formatSize(size)}`, "a disk can be made larger, not smaller");
    }
    if (size < bytes) ftruncateSync(fd, bytes);
  });
}

/** Two at once make one: the later one takes what the first has made. */
function makeKept(path: string, bytes: number, image: Uint8Array): number {
  const fresh = besides(path);
  const fd = attempt("make the disk", path, () => openSync(fresh, "wx+", 0o600));
  try {
    closingOnFailure(fd, "make the disk", path, () => {
      fill(fd, bytes, image);
      fsyncSync(fd);
      linkSync(fresh, path);
    });
    return fd;
  } catch (error) {
    const other = error instanceof SbxError && systemCode(error.cause) === "EEXIST"
      ? openKept(path, bytes)
      : undefined;
    if (other === undefined) throw error;
    return other;
  } finally {
    unlinkSync(fresh);
  }
}

function fill(fd: number, bytes: number, image: Uint8Array): void {
  ftruncateSync(fd, bytes);
  for (let at = 0; at < image.length;) at += writeSync(fd, image, at, image.length - at, at);
}

/** Its bytes become the guest's: those of a file that is something else, too, are not the guest's to have. */
function requireOwn(path: string, fd: number): { readonly size: number } {
  const stat = fstatSync(fd);
  if (!stat.isFile()) throw unusable(path, "it is not a regular file");
  if (stat.nlink !== 1) throw unusable(path, "the file has other names, too");
  if (stat.uid !== process.geteuid?.()) throw unusable(path, `it belongs to user ${stat.uid}`);
  if ((stat.mode & 0o077) !== 0) {
    throw unusable(path, "others can get at it", `if nobody did, run 'chmod go= ${path}'`);
  }
  return stat;
}

function unusable(path: string, state: string, hint = "name another file"): SbxError {
  return new SbxError("FILE_UNREADABLE", `Cannot use the disk ${escapeText(path)}: ${state}`, {
    hint,
  });
}

function besides(path: string): string {
  return `${path}.${randomBytes(6).toString("hex")}`;
}

function closingOnFailure(
  fd: number,
  doing: string,
  path: string,
  use: (fd: number) => void,
): number {
  try {
    attempt(doing, path, () => use(fd));
    return fd;
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

async function closingOnFailureLater(
  fd: number,
  doing: string,
  path: string,
  use: () => Promise<void>,
): Promise<number> {
  try {
    await use();
    return fd;
  } catch (cause) {
    closeSync(fd);
    throw diskError(doing, path, cause);
  }
}

function attempt<T>(doing: string, path: string, step: () => T): T {
  try {
    return step();
  } catch (cause) {
    throw diskError(doing, path, cause);
  }
}

/** What is no failure of the system's stays as it is. */
function diskError(doing: string, path: string, cause: unknown): unknown {
  const code = systemCode(cause);
  if (code === undefined || cause instanceof SbxError) return cause;
  const isFull = code === "ENOSPC" || code === "EDQUOT";
  return fileError(doing, path, cause, isFull ? SOME_ROOM : undefined);
}

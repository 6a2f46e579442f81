/**
 * Files as Linux and macOS have them alike: the same calls, with numbers of their own.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { SystemFiles } from "./system.ts";
import { timesOf } from "./timespec.ts";

/** They answer −1 for a failure, which one is not told. */
export interface PosixCalls {
  lseek(fd: number, offset: number, whence: number): number;
  futimens(fd: number, times: Uint8Array): number;
  utimensat(at: number, path: Uint8Array, times: Uint8Array, flags: number): number;
  flock(fd: number, operation: number): number;
}

/** How `bun:ffi` calls them. */
export const POSIX_SYMBOLS = {
  lseek: { args: ["i32", "i64", "i32"], returns: "i64" },
  futimens: { args: ["i32", "ptr"], returns: "i32" },
  utimensat: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
} as const;

/** Numbers that each system has chosen for itself. */
export interface PosixNumbers {
  readonly SEEK_DATA: number;
  readonly SEEK_HOLE: number;
  readonly UTIME_OMIT: bigint;
  readonly AT_FDCWD: number;
  readonly AT_SYMLINK_NOFOLLOW: number;
}

const [LOCK_SH, LOCK_EX, LOCK_NB] = [1, 2, 4] as const;

export function posixFiles(
  calls: () => PosixCalls | null,
  { SEEK_DATA, SEEK_HOLE, UTIME_OMIT, AT_FDCWD, AT_SYMLINK_NOFOLLOW }: PosixNumbers,
): Pick<SystemFiles, "tryLock" | "tryShare" | "extentAt" | "setTime" | "setLinkTime"> {
  return {
    tryLock: (fd) => calls()?.flock(fd, LOCK_EX | LOCK_NB) === 0,
    tryShare: (fd) => calls()?.flock(fd, LOCK_SH | LOCK_NB) === 0,
    extentAt(fd, offset) {
      const libc = calls();
      if (libc === null) return undefined;
      const from = libc.lseek(fd, offset, SEEK_DATA);
      if (from >= 0) return { from, to: libc.lseek(fd, from, SEEK_HOLE) };
      // A file system that knows of holes has one at the end of every file that is not empty.
      return libc.lseek(fd, 0, SEEK_HOLE) >= 0 ? null : undefined;
    },
    setTime: (fd, ns) => calls()?.futimens(fd, timesOf(ns, UTIME_OMIT)) !== undefined,
    setLinkTime(path, ns) {
      const times = timesOf(ns, UTIME_OMIT);
      return calls()?.utimensat(AT_FDCWD, terminated(path), times, AT_SYMLINK_NOFOLLOW) !==
        undefined;
    },
  };
}

/** As C has texts: a NUL is their end. */
export function terminated(text: Buffer): Buffer {
  return Buffer.concat([text, Buffer.alloc(1)]);
}

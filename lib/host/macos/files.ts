/**
 * Files as macOS has them.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { constants, openSync } from "node:fs";
import { systemCode } from "../../base/file_error.ts";
import type { SystemFiles } from "../system.ts";
import { timesOf } from "../timespec.ts";
import type { MacCalls } from "./libsystem.ts";

const { O_RDONLY, O_DIRECTORY } = constants;

const [LOCK_SH, LOCK_EX, LOCK_NB] = [1, 2, 4] as const;
const [SEEK_HOLE, SEEK_DATA] = [3, 4] as const;
const UTIME_OMIT = -2n;
const AT_FDCWD = -2;
const AT_SYMLINK_NOFOLLOW = 0x20;

/** No link anywhere in the path is followed: ELOOP. Node has no name for it. */
const O_NOFOLLOW_ANY = 0x2000_0000;

/** `open` is the system's, save in tests. */
export function macFiles(
  calls: () => MacCalls | null,
  open: (path: string, flags: number) => number = openSync,
): SystemFiles {
  return {
    tryLock: (fd) => calls()?.flock(fd, LOCK_EX | LOCK_NB) === 0,
    tryShare: (fd) => calls()?.flock(fd, LOCK_SH | LOCK_NB) === 0,
    extentAt(fd, offset) {
      const libc = calls();
      if (libc === null) return undefined;
      const from = libc.lseek(fd, offset, SEEK_DATA);
      if (from >= 0) return { from, to: libc.lseek(fd, from, SEEK_HOLE) };
      return libc.lseek(fd, 0, SEEK_HOLE) >= 0 ? null : undefined;
    },
    setTime: (fd, ns) => calls()?.futimens(fd, timesOf(ns, UTIME_OMIT)) !== undefined,
    setLinkTime(path, ns) {
      const text = Buffer.concat([path, Buffer.alloc(1)]);
      const times = timesOf(ns, UTIME_OMIT);
      return calls()?.utimensat(AT_FDCWD, text, times, AT_SYMLINK_NOFOLLOW) !== undefined;
    },
    // There are some, but no names that are users' own: any may be the system's, such as the quarantine's.
    attributeNames: () => [],
    attribute: () => null,
    setAttribute: () => false,
    // clonefile(2) makes files, and fills none that is open.
    cloneFile: () => false,
    openNameless: () => null,
    openExactly(path) {
      try {
        return open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW_ANY);
      } catch (cause) {
        if (systemCode(cause) === "ELOOP") return null;
        throw cause;
      }
    },
    // A path is all there is: a link that is swapped in at the right moment is followed.
    inside: (_fd, path) => Buffer.concat([path, Buffer.from("/")]),
  };
}

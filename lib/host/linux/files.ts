/**
 * Files as Linux has them.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { closeSync, constants, openSync, readlinkSync } from "node:fs";
import type { SystemFiles } from "../system.ts";
import { timesOf } from "../timespec.ts";
import type { LinuxCalls } from "./libc.ts";

const { O_RDONLY, O_RDWR, O_DIRECTORY, O_NOFOLLOW } = constants;

const [LOCK_SH, LOCK_EX, LOCK_NB] = [1, 2, 4] as const;
const [SEEK_DATA, SEEK_HOLE] = [3, 4] as const;
const UTIME_OMIT = (1n << 30n) - 2n;
const AT_FDCWD = -100;
const AT_SYMLINK_NOFOLLOW = 0x100;

/** _IOW(0x94, 9, int): makes an open file another one's content, which both share; see ioctl_ficlone(2). */
const FICLONE = 0x4004_9409n;

/** Node has no name for it. */
const O_TMPFILE = 0o20000000 | O_DIRECTORY;

export function linuxFiles(calls: () => LinuxCalls | null): SystemFiles {
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
      const text = Buffer.concat([path, Buffer.alloc(1)]);
      const times = timesOf(ns, UTIME_OMIT);
      return calls()?.utimensat(AT_FDCWD, text, times, AT_SYMLINK_NOFOLLOW) !== undefined;
    },
    cloneFile: (to, from) => calls()?.ioctl(to, FICLONE, from) === 0,
    openNameless(directory) {
      try {
        return openSync(directory, O_RDWR | O_TMPFILE, 0o600);
      } catch {
        return null; // this file system has no such files
      }
    },
    openExactly(path) {
      const fd = openSync(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
      try {
        if (readlinkSync(`/proc/self/fd/${fd}`) === path) return fd;
      } catch (cause) {
        closeSync(fd);
        throw cause;
      }
      closeSync(fd);
      return null;
    },
    // The descriptor's own path leads to the open directory itself, whatever has its place by now.
    inside: (fd) => Buffer.from(`/proc/self/fd/${fd}/`),
  };
}

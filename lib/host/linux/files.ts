/**
 * Files as Linux has them.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { closeSync, constants, openSync, readlinkSync } from "node:fs";
import { posixFiles, type PosixNumbers, terminated } from "../posix_files.ts";
import type { SystemFiles } from "../system.ts";
import type { LinuxCalls } from "./libc.ts";

const { O_RDONLY, O_RDWR, O_DIRECTORY, O_NOFOLLOW } = constants;

const NUMBERS: PosixNumbers = {
  SEEK_DATA: 3,
  SEEK_HOLE: 4,
  UTIME_OMIT: (1n << 30n) - 2n,
  AT_FDCWD: -100,
  AT_SYMLINK_NOFOLLOW: 0x100,
};

/** _IOW(0x94, 9, int): makes an open file another one's content, which both share; see ioctl_ficlone(2). */
const FICLONE = 0x4004_9409n;

/** Node has no name for it. */
const O_TMPFILE = 0o20000000 | O_DIRECTORY;

/** Linux's own limits: of a value, and of all names of a file together. */
const MAX_VALUE = 64 * 1024;
const MAX_NAMES = 64 * 1024;

/** Others are the kernel's, the administrator's or a security module's. */
const USER = Buffer.from("user.");

export function linuxFiles(calls: () => LinuxCalls | null): SystemFiles {
  return {
    ...posixFiles(calls, NUMBERS),
    attributeNames(fd) {
      const libc = calls();
      if (libc === null) return [];
      const length = libc.flistxattr(fd, EMPTY, 0);
      if (length <= 0) return [];
      const names = Buffer.alloc(MAX_NAMES);
      return namesIn(names.subarray(0, Math.max(0, libc.flistxattr(fd, names, MAX_NAMES))));
    },
    attribute(fd, name) {
      const value = Buffer.alloc(MAX_VALUE);
      const length = calls()?.fgetxattr(fd, terminated(name), value, MAX_VALUE) ?? -1;
      return length < 0 ? null : value.subarray(0, length);
    },
    setAttribute: (fd, name, value) =>
      calls()?.fsetxattr(
        fd,
        terminated(name),
        value.length === 0 ? EMPTY : value,
        value.length,
        0,
      ) ===
        0,
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

/** Has an address, as no buffer without bytes has. */
const EMPTY = Buffer.alloc(1);

/** A list in which each name ends with NUL. */
function namesIn(list: Buffer): Buffer[] {
  const names: Buffer[] = [];
  for (let from = 0; from < list.length;) {
    const end = list.indexOf(0, from);
    if (end < 0) break;
    const name = list.subarray(from, end);
    if (name.length > USER.length && name.subarray(0, USER.length).equals(USER)) names.push(name);
    from = end + 1;
  }
  return names;
}

/**
 * Calls of the system that neither Bun nor Node has, from its libc. It is loaded at the first call, so that
 * programs of other runtimes can import what would need it.
 *
 * @module
 */
import process from "node:process";

type Ffi = typeof import("bun:ffi");

const IS_MAC = process.platform === "darwin";
const NAME = IS_MAC ? "libSystem.B.dylib" : "libc.so.6";

/** They answer −1 for a failure, which one is not told. */
export interface Libc {
  lseek(fd: number, offset: number, whence: number): number;
  futimens(fd: number, times: Uint8Array): number;
  utimensat(fd: number, path: Uint8Array, times: Uint8Array, flags: number): number;
  flock(fd: number, operation: number): number;
  /** ioctl(2) with FICLONE: makes an open file another one's content, which both share. −1 for a Mac. */
  clone(to: number, from: number): number;
  /** getsockopt(2) with SO_PEERCRED, or getpeereid(3): the user who connected a Unix socket. */
  peerUser(fd: number): number;
}

let loaded: Libc | null | undefined;

/** Null on a system that has no libc of this name. */
export function libc(): Libc | null {
  loaded ??= load();
  return loaded;
}

const LOCK_SH = 1;
const LOCK_EX = 2;
const LOCK_NB = 4;

/** Takes the lock of an open file, which the kernel lets go when the file is closed; false when it is held. */
export function tryLock(fd: number): boolean {
  return libc()?.flock(fd, LOCK_EX | LOCK_NB) === 0;
}

/** Whether nobody holds the lock of an open file. Any number may look at once and see the same. */
export function isUnlocked(fd: number): boolean {
  return libc()?.flock(fd, LOCK_SH | LOCK_NB) === 0;
}

/** Takes the lock of an open file beside others who only read; false while somebody changes what it is for. */
export function tryShare(fd: number): boolean {
  return isUnlocked(fd);
}

/** Makes an open file another one's content, of which it shares the blocks; false where that is not possible. */
export function cloneFile(to: number, from: number): boolean {
  return libc()?.clone(to, from) === 0;
}

/** The user who connected a Unix socket; undefined when the kernel does not say. */
export function peerUser(fd: number): number | undefined {
  const user = libc()?.peerUser(fd) ?? -1;
  return user < 0 ? undefined : user;
}

function load(): Libc | null {
  try {
    const ffi: Ffi = import.meta.require("bun:ffi");
    const { lseek, futimens, utimensat, flock } = ffi.dlopen(NAME, {
      lseek: { args: ["i32", "i64", "i32"], returns: "i64" },
      futimens: { args: ["i32", "ptr"], returns: "i32" },
      utimensat: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
      flock: { args: ["i32", "i32"], returns: "i32" },
    }).symbols;
    return {
      lseek: (...args) => Number(lseek(...args)),
      futimens: (...args) => Number(futimens(...args)),
      utimensat: (...args) => Number(utimensat(...args)),
      flock: (...args) => Number(flock(...args)),
      clone: IS_MAC ? () => -1 : cloneOfLinux(ffi),
      peerUser: IS_MAC ? peerOfMac(ffi) : peerOfLinux(ffi),
    };
  } catch {
    return null;
  }
}

/** _IOW(0x94, 9, int) */
const FICLONE = 0x40049409;

function cloneOfLinux({ dlopen }: Ffi): (to: number, from: number) => number {
  // Of its variable arguments this request has one, which is passed like any other on Linux.
  const { ioctl } = dlopen(NAME, {
    ioctl: { args: ["i32", "u64", "i32"], returns: "i32" },
  }).symbols;
  return (to, from) => Number(ioctl(to, BigInt(FICLONE), from));
}

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

function peerOfLinux({ dlopen, ptr }: Ffi): (fd: number) => number {
  const { getsockopt } = dlopen(NAME, {
    getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  }).symbols;
  return (fd) => {
    const credentials = new Uint32Array(3); // struct ucred: pid, uid, gid
    const size = Uint32Array.of(credentials.byteLength);
    const failed = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ptr(credentials), ptr(size)) !== 0;
    return failed ? -1 : credentials[1] ?? -1;
  };
}

function peerOfMac({ dlopen, ptr }: Ffi): (fd: number) => number {
  const { getpeereid } = dlopen(NAME, {
    getpeereid: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  }).symbols;
  return (fd) => {
    const [user, group] = [new Uint32Array(1), new Uint32Array(1)];
    return getpeereid(fd, ptr(user), ptr(group)) === 0 ? user[0] ?? -1 : -1;
  };
}

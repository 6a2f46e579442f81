/**
 * Calls of the C library that the runtime has no words for: a lock that ends with its holder, and who
 * stands at the other end of a socket.
 *
 * @module
 */
import { dlopen, ptr } from "bun:ffi";
import process from "node:process";

const isMac = process.platform === "darwin";
const LIBRARY = isMac ? "libSystem.B.dylib" : "libc.so.6";

const calls = () =>
  dlopen(LIBRARY, {
    flock: { args: ["i32", "i32"], returns: "i32" },
    ...(isMac
      ? { getpeereid: { args: ["i32", "ptr", "ptr"], returns: "i32" } }
      : { getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" } }),
  }).symbols as Record<string, (...args: unknown[]) => number>;

let loaded: ReturnType<typeof calls> | undefined;

const LOCK_EX = 2;
const LOCK_NB = 4;
const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

/** Takes the lock of an open file, which the kernel lets go when the file is closed; false when it is held. */
export function tryLock(fd: number): boolean {
  loaded ??= calls();
  return loaded["flock"]?.(fd, LOCK_EX | LOCK_NB) === 0;
}

/** The user who connected a Unix socket; undefined when the kernel does not say. */
export function peerUser(fd: number): number | undefined {
  loaded ??= calls();
  if (isMac) {
    const [user, group] = [new Uint32Array(1), new Uint32Array(1)];
    return loaded["getpeereid"]?.(fd, ptr(user), ptr(group)) === 0 ? user[0] : undefined;
  }
  const credentials = new Uint32Array(3); // struct ucred: pid, uid, gid
  const size = Uint32Array.of(credentials.byteLength);
  const done = loaded["getsockopt"]?.(fd, SOL_SOCKET, SO_PEERCRED, ptr(credentials), ptr(size));
  return done === 0 ? credentials[1] : undefined;
}

/**
 * The calls of macOS's libSystem that neither Bun nor Node has. None takes variable arguments, which Apple's
 * own processors are passed otherwise than others, and which Bun does not know.
 *
 * @module
 */
import { POSIX_SYMBOLS, type PosixCalls } from "../posix_files.ts";

/** They answer −1 for a failure, which one is not told, unless it is said. */
export interface MacCalls extends PosixCalls {
  getpeereid(fd: number, user: Uint32Array, group: Uint32Array): number;
  /** Those of its commands that take no argument. */
  fcntl(fd: number, command: number): number;
  getrlimit(resource: number, limit: BigUint64Array): number;
  setrlimit(resource: number, limit: BigUint64Array): number;
  /** Reads; `size` is how much fits into `value`, and then how much is there. */
  sysctl(name: Int32Array, value: Uint8Array, size: BigUint64Array): number;
  /** The same by a name that ends with NUL. */
  sysctlByName(name: Uint8Array, value: Uint8Array, size: BigUint64Array): number;
  /** proc_listpids() of <libproc.h>: how many bytes it has written, 0 for a failure. */
  listPids(kind: number, of: number, pids: Int32Array): number;
  /** proc_pid_rusage() of <libproc.h>. */
  pidUsage(pid: number, kind: number, usage: Uint8Array): number;
  /** mach_timebase_info(): numerator and denominator of nanoseconds in a unit of its time; 0: success. */
  timebase(fraction: Uint32Array): number;
}

let loaded: MacCalls | null | undefined;

/** Loaded at the first call. Null on another system, or in another runtime than Bun. */
export function macCalls(): MacCalls | null {
  loaded ??= load();
  return loaded;
}

function load(): MacCalls | null {
  try {
    const { dlopen }: typeof import("bun:ffi") = import.meta.require("bun:ffi");
    const symbols = dlopen("libSystem.B.dylib", {
      ...POSIX_SYMBOLS,
      getpeereid: { args: ["i32", "ptr", "ptr"], returns: "i32" },
      fcntl: { args: ["i32", "i32"], returns: "i32" },
      getrlimit: { args: ["i32", "ptr"], returns: "i32" },
      setrlimit: { args: ["i32", "ptr"], returns: "i32" },
      sysctl: { args: ["ptr", "u32", "ptr", "ptr", "ptr", "u64"], returns: "i32" },
      sysctlbyname: { args: ["ptr", "ptr", "ptr", "ptr", "u64"], returns: "i32" },
      proc_listpids: { args: ["u32", "u32", "ptr", "i32"], returns: "i32" },
      proc_pid_rusage: { args: ["i32", "i32", "ptr"], returns: "i32" },
      mach_timebase_info: { args: ["ptr"], returns: "i32" },
    }).symbols;
    return {
      lseek: (...args) => Number(symbols.lseek(...args)),
      futimens: (...args) => Number(symbols.futimens(...args)),
      utimensat: (...args) => Number(symbols.utimensat(...args)),
      flock: (...args) => Number(symbols.flock(...args)),
      getpeereid: (...args) => Number(symbols.getpeereid(...args)),
      fcntl: (...args) => Number(symbols.fcntl(...args)),
      getrlimit: (...args) => Number(symbols.getrlimit(...args)),
      setrlimit: (...args) => Number(symbols.setrlimit(...args)),
      sysctl: (name, value, size) =>
        Number(symbols.sysctl(name, name.length, value, size, null, 0n)),
      sysctlByName: (name, value, size) =>
        Number(symbols.sysctlbyname(name, value, size, null, 0n)),
      listPids: (kind, of, pids) => Number(symbols.proc_listpids(kind, of, pids, pids.byteLength)),
      pidUsage: (...args) => Number(symbols.proc_pid_rusage(...args)),
      timebase: (...args) => Number(symbols.mach_timebase_info(...args)),
    };
  } catch {
    return null;
  }
}

/**
 * The calls of Linux's libc that neither Bun nor Node has.
 *
 * @module
 */
import { POSIX_SYMBOLS, type PosixCalls } from "../posix_files.ts";

/** They answer −1 for a failure, which one is not told. */
export interface LinuxCalls extends PosixCalls {
  /** With one argument that is a number. */
  ioctl(fd: number, request: bigint, argument: number): number;
  flistxattr(fd: number, names: Uint8Array, size: number): number;
  fgetxattr(fd: number, name: Uint8Array, value: Uint8Array, size: number): number;
  fsetxattr(fd: number, name: Uint8Array, value: Uint8Array, size: number, flags: number): number;
  getsockopt(
    fd: number,
    level: number,
    name: number,
    value: Uint32Array,
    size: Uint32Array,
  ): number;
  socket(domain: number, type: number, protocol: number): number;
  send(fd: number, bytes: Uint8Array, size: number, flags: number): number;
  recv(fd: number, bytes: Uint8Array, size: number, flags: number): number;
}

let loaded: LinuxCalls | null | undefined;

/** Loaded at the first call. Null on a system that has no libc of this name, or in another runtime than Bun. */
export function linuxCalls(): LinuxCalls | null {
  loaded ??= load();
  return loaded;
}

function load(): LinuxCalls | null {
  try {
    const { dlopen }: typeof import("bun:ffi") = import.meta.require("bun:ffi");
    const symbols = dlopen("libc.so.6", {
      ...POSIX_SYMBOLS,
      // What a call with variable arguments takes is passed like any other on Linux.
      ioctl: { args: ["i32", "u64", "i32"], returns: "i32" },
      flistxattr: { args: ["i32", "ptr", "u64"], returns: "i64" },
      fgetxattr: { args: ["i32", "ptr", "ptr", "u64"], returns: "i64" },
      fsetxattr: { args: ["i32", "ptr", "ptr", "u64", "i32"], returns: "i32" },
      getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
      socket: { args: ["i32", "i32", "i32"], returns: "i32" },
      send: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
      recv: { args: ["i32", "ptr", "u64", "i32"], returns: "i64" },
    }).symbols;
    return {
      lseek: (...args) => Number(symbols.lseek(...args)),
      futimens: (...args) => Number(symbols.futimens(...args)),
      utimensat: (...args) => Number(symbols.utimensat(...args)),
      flock: (...args) => Number(symbols.flock(...args)),
      ioctl: (...args) => Number(symbols.ioctl(...args)),
      flistxattr: (...args) => Number(symbols.flistxattr(...args)),
      fgetxattr: (...args) => Number(symbols.fgetxattr(...args)),
      fsetxattr: (...args) => Number(symbols.fsetxattr(...args)),
      getsockopt: (...args) => Number(symbols.getsockopt(...args)),
      socket: (...args) => Number(symbols.socket(...args)),
      send: (...args) => Number(symbols.send(...args)),
      recv: (...args) => Number(symbols.recv(...args)),
    };
  } catch {
    return null;
  }
}

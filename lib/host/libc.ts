/**
 * Calls of the system that neither Bun nor Node has, from its libc.
 *
 * @module
 */
import { dlopen } from "bun:ffi";
import process from "node:process";

const NAME = process.platform === "darwin" ? "libSystem.B.dylib" : "libc.so.6";

/** lseek(2), futimens(3) and utimensat(2). They answer −1 for a failure, which one is not told. */
export interface Libc {
  lseek(fd: number, offset: number, whence: number): number;
  futimens(fd: number, times: Uint8Array): number;
  utimensat(fd: number, path: Uint8Array, times: Uint8Array, flags: number): number;
}

let loaded: Libc | null | undefined;

/** Null on a system that has no libc of this name. */
export function libc(): Libc | null {
  loaded ??= load();
  return loaded;
}

function load(): Libc | null {
  try {
    const { symbols } = dlopen(NAME, {
      lseek: { args: ["i32", "i64", "i32"], returns: "i64" },
      futimens: { args: ["i32", "ptr"], returns: "i32" },
      utimensat: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
    });
    const { lseek, futimens, utimensat } = symbols;
    return {
      lseek: (...args) => Number(lseek(...args)),
      futimens: (...args) => Number(futimens(...args)),
      utimensat: (...args) => Number(utimensat(...args)),
    };
  } catch {
    return null;
  }
}

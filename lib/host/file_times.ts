/**
 * Times of files, to the nanosecond. Those of `node:fs` are numbers, too coarse for what `make` compares,
 * and Bun takes one before 1970 for now; they stand in where there is no libc to ask.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { futimesSync, lutimesSync } from "node:fs";
import process from "node:process";
import { libc } from "./libc.ts";

const NS = 1_000_000_000n;

const IS_MAC = process.platform === "darwin";
const UTIME_OMIT = IS_MAC ? -2n : (1n << 30n) - 2n;
const AT_FDCWD = IS_MAC ? -2 : -100;
const AT_SYMLINK_NOFOLLOW = IS_MAC ? 0x20 : 0x100;

/** Sets when the content of an open file or directory changed last. Best effort: a copy is one without. */
export function setTime(fd: number, ns: bigint): void {
  if (libc()?.futimens(fd, times(ns)) !== undefined) return;
  futimesSync(fd, seconds(ns), seconds(ns));
}

/** The same for a symbolic link. */
export function setLinkTime(path: Buffer, ns: bigint): void {
  const text = Buffer.concat([path, Buffer.alloc(1)]);
  if (libc()?.utimensat(AT_FDCWD, text, times(ns), AT_SYMLINK_NOFOLLOW) !== undefined) return;
  lutimesSync(path, seconds(ns), seconds(ns));
}

/** Two `struct timespec`: nothing for the last access, and the time. */
function times(ns: bigint): Uint8Array {
  const nanoseconds = (ns % NS + NS) % NS;
  return new Uint8Array(
    new BigInt64Array([0n, UTIME_OMIT, (ns - nanoseconds) / NS, nanoseconds]).buffer,
  );
}

function seconds(ns: bigint): number {
  return Number(ns / 1000n) / 1e6;
}

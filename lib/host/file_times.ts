/**
 * Times of files, to the nanosecond. Those of `node:fs` are numbers, too coarse for what `make` compares,
 * and Bun takes one before 1970 for now; they stand in where the system cannot be asked.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { futimesSync, lutimesSync } from "node:fs";
import { ownSystem } from "./own_system.ts";

/** Sets when the content of an open file or directory changed last. Best effort: a copy is one without. */
export function setTime(fd: number, ns: bigint): void {
  if (!ownSystem().files.setTime(fd, ns)) futimesSync(fd, seconds(ns), seconds(ns));
}

/** The same for a symbolic link. */
export function setLinkTime(path: Buffer, ns: bigint): void {
  if (!ownSystem().files.setLinkTime(path, ns)) lutimesSync(path, seconds(ns), seconds(ns));
}

function seconds(ns: bigint): number {
  return Number(ns / 1000n) / 1e6;
}

/**
 * Where a sparse file has data.
 *
 * @module
 */
import process from "node:process";
import { libc } from "./libc.ts";

/** A part of a file that is no hole, in bytes from its beginning. */
export interface Extent {
  readonly from: number;
  readonly to: number;
}

const [SEEK_DATA, SEEK_HOLE] = process.platform === "darwin" ? [4, 3] : [3, 4];

/**
 * The next data of the file at or behind an offset; null where none is left. Undefined where nobody knows,
 * as the file system has no word for holes.
 */
export function extentAt(fd: number, offset: number): Extent | null | undefined {
  const calls = libc();
  if (calls === null) return undefined;
  const from = calls.lseek(fd, offset, SEEK_DATA);
  if (from >= 0) return { from, to: calls.lseek(fd, from, SEEK_HOLE) };
  // A file system that knows of holes has one at the end of every file that is not empty.
  return calls.lseek(fd, 0, SEEK_HOLE) >= 0 ? null : undefined;
}

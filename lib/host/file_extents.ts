/**
 * Where a sparse file has data.
 *
 * @module
 */
import { ownSystem } from "./own_system.ts";
import type { Extent } from "./system.ts";

/**
 * The next data of the file at or behind an offset; null where none is left. Undefined where nobody knows,
 * as the file system has no word for holes.
 */
export function extentAt(fd: number, offset: number): Extent | null | undefined {
  return ownSystem().files.extentAt(fd, offset);
}

/**
 * The room that is left on a file system.
 *
 * @module
 */
import { statfsSync } from "node:fs";

/** How many bytes whoever is not root can still write in a directory. @throws the system's error */
export function freeBytes(directory: string): number {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize;
}

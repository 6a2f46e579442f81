/**
 * Directories that a path is in. Pure.
 *
 * @module
 */

/** From the innermost; neither the root nor the directory that a relative path begins in. */
export function* directoriesAbove(path: string): Generator<string, void> {
  for (let at = parentOf(path); at !== ""; at = parentOf(at)) yield at;
}

/** The directory that it is in; "" for what a path begins in. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf("/")));
}

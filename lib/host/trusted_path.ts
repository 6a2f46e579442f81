/**
 * Programs that no guest can have put in their place: scripts and environments put directories of a
 * project first on the PATH, and projects are what guests are given to write to.
 *
 * @module
 */
import { accessSync, constants, realpathSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import process from "node:process";

/**
 * A PATH without the directories that the guest can write to, and those that depend on where somebody
 * stands. `writable` are absolute and without links.
 */
export function trustedPath(path: string, writable: readonly string[]): string {
  return path.split(":")
    .filter((directory) => isAbsolute(directory) && !isInAny(directory, writable))
    .join(":");
}

/** The first program of that name there; null when there is none. */
export function trustedProgram(name: string, writable: readonly string[]): string | null {
  for (const directory of trustedPath(process.env["PATH"] ?? "", writable).split(":")) {
    const path = join(directory, name);
    try {
      accessSync(path, constants.X_OK);
    } catch {
      continue;
    }
    if (!isInAny(path, writable)) return path;
  }
  return null;
}

/** Where this process stands; the root where the guest can write to that. */
export function trustedDirectory(writable: readonly string[]): string {
  try {
    const own = process.cwd();
    return isInAny(own, writable) ? "/" : own;
  } catch {
    return "/"; // it was removed
  }
}

function isInAny(path: string, directories: readonly string[]): boolean {
  return [path, realOf(path)].some((one) =>
    directories.some((directory) => one === directory || one.startsWith(`${directory}/`))
  );
}

/** What is not there holds no program yet; as it is written is all there is to compare. */
export function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

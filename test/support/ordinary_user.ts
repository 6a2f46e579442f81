/**
 * Whoever is not root: in groups beyond the own one, as nearly everybody is, which programs like Debian 12's
 * virtiofsd leave first of all, and may not.
 *
 * @module
 */
import process from "node:process";

/** Groups that open nothing. */
const GROUPS = [64_990, 64_991];

/** What stands before a command for it to be run by that user; nothing where the caller is not root. */
export function ordinaryUser(user: number, groups: readonly number[] = []): readonly string[] {
  if (process.getuid?.() !== 0) return [];
  return [
    "setpriv",
    `--reuid=${user}`,
    `--regid=${user}`,
    `--groups=${[...GROUPS, ...groups].join()}`,
    "--",
  ];
}

/**
 * Where sbx keeps things, after the XDG base directory specification.
 *
 * @module
 */
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import process from "node:process";

/** `~/` is the home directory. */
export function expandHome(path: string): string {
  return path.startsWith("~/") ? join(homedir(), path.slice(2)) : path;
}

/** Relative values of the XDG variables are to be ignored, as the specification says. */
function base(variable: string, fallback: string): string {
  const value = process.env[variable];
  return value !== undefined && isAbsolute(value) ? value : join(homedir(), fallback);
}

/** What can be made again: unpacked assets, the accelerator's probe. */
export function cacheDir(): string {
  return join(base("XDG_CACHE_HOME", ".cache"), "sbx");
}

/** What the user would miss: the certificate authority. */
export function dataDir(): string {
  return join(base("XDG_DATA_HOME", ".local/share"), "sbx");
}

/** What outlives a command and cannot be made again: named sandboxes, their disks and logs. */
export function stateDir(): string {
  return join(base("XDG_STATE_HOME", ".local/state"), "sbx");
}

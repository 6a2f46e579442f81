/**
 * Where sbx keeps things: where the variables of the XDG base directory specification say, which are heeded on
 * all systems, else where the system has such things.
 *
 * @module
 */
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import process from "node:process";
import { ownSystem } from "./own_system.ts";
import type { HostSystem, SystemPlaces } from "./system.ts";

/** `~/` is the home directory. */
export function expandHome(path: string): string {
  return path.startsWith("~/") ? join(homedir(), path.slice(2)) : path;
}

/** Relative values of the XDG variables are to be ignored, as the specification says. */
function base(variable: string, what: keyof SystemPlaces, { places }: HostSystem): string {
  const value = process.env[variable];
  return value !== undefined && isAbsolute(value) ? value : join(homedir(), places[what]);
}

/** What can be made again: unpacked assets, the accelerator's probe. */
export function cacheDir(system: HostSystem = ownSystem()): string {
  return join(base("XDG_CACHE_HOME", "cache", system), "sbx");
}

/** What the user would miss: the certificate authority. */
export function dataDir(system: HostSystem = ownSystem()): string {
  return join(base("XDG_DATA_HOME", "data", system), "sbx");
}

/** What outlives a command and cannot be made again: named sandboxes, their disks and logs. */
export function stateDir(system: HostSystem = ownSystem()): string {
  return join(base("XDG_STATE_HOME", "state", system), "sbx");
}

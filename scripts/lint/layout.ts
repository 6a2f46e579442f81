/**
 * The order of the library's folders, read from a path alone.
 *
 * @module
 */
import { dirname, join, relative, resolve, sep } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");

/** Left to right: a folder may import from itself and from what stands left of it. */
export const FOLDERS = [
  "base",
  "wire",
  "policy",
  "secret",
  "dns",
  "tls",
  "http",
  "judge",
  "gate",
  "flow",
  "guest",
  "journal",
  "sandbox",
  "supervise",
  "api",
  "cli",
] as const;

/** Folders beside the order: host implements interfaces that the others declare. */
const HOST = "host";

/** The command line stands on the public library and on what computes without doing anything. */
export const COMMAND_LINE = "cli";
export const UNDER_COMMAND_LINE: readonly string[] = ["base", "policy", "judge", "journal", "api"];

/** Which part of the repository a file belongs to. */
export function placeOf(path: string): string {
  return relative(ROOT, path).split(sep)[0] ?? "";
}

/** The folder of lib that a file is in; undefined for lib/mod.ts and everything outside. */
export function folderOf(path: string): string | undefined {
  const [place, folder, ...file] = relative(ROOT, path).split(sep);
  return place === "lib" && file.length > 0 ? folder : undefined;
}

/** The folder of lib that a relative import leads to. */
export function importedFolder(from: string, specifier: string): string | undefined {
  return specifier.startsWith(".") ? folderOf(resolve(dirname(from), specifier)) : undefined;
}

/** One machine of several that guests could run in; only the host, which chooses it, knows it. */
const MACHINES = [`guest${sep}qemu`];

/** The machine whose code a relative import leads into from outside of it. */
export function enteredMachine(from: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".") || folderOf(from) === HOST) return undefined;
  const isIn = (path: string, machine: string) =>
    relative(join(ROOT, "lib"), path).startsWith(machine + sep);
  return MACHINES.find((machine) =>
    isIn(resolve(dirname(from), specifier), machine) && !isIn(from, machine)
  );
}

export function mayImport(from: string, to: string): boolean {
  if (from === to) return true;
  if (from === COMMAND_LINE) return UNDER_COMMAND_LINE.includes(to);
  // The host knows the interfaces that it implements; only what composes a sandbox may name it.
  if (from === HOST) return to !== COMMAND_LINE;
  const order: readonly string[] = FOLDERS;
  const here = order.indexOf(from);
  if (to === HOST) return here >= order.indexOf("sandbox");
  const there = order.indexOf(to);
  return here >= 0 && there >= 0 && there < here;
}

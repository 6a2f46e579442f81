/**
 * The order of the library's folders, read from a path alone.
 *
 * @module
 */
import { dirname, relative, resolve, sep } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");

/** Left to right: a folder may import from itself and from what stands left of it. */
export const FOLDERS = [
  "base",
  "policy",
  "secret",
  "dns",
  "tls",
  "http",
  "flow",
  "guest",
  "sandbox",
  "cli",
] as const;

/** Folders beside the order: host implements interfaces that the others declare. */
const HOST = "host";

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

export function mayImport(from: string, to: string): boolean {
  if (from === to) return true;
  // The host knows the interfaces that it implements; only what composes a sandbox may name it.
  if (from === HOST) return to !== "cli";
  const order: readonly string[] = FOLDERS;
  const here = order.indexOf(from);
  if (to === HOST) return here >= order.indexOf("sandbox");
  const there = order.indexOf(to);
  return here >= 0 && there >= 0 && there < here;
}

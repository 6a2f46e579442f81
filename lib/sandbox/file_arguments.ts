/**
 * Arguments of calls about a guest's files, checked before the guest hears of them. Pure.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";
import { quote } from "../base/escape.ts";

/** More than Linux takes; what is above it would not even fit the call. */
const MAX_PATH = 4096;

/** A path or the target of a link, absolute or not. @throws SbxError USAGE */
export function pathText(path: string, call: string): string {
  if (path === "") throw unusable(call, path, "a path is not empty");
  if (path.includes("\0")) throw unusable(call, path, "a path has no NUL byte");
  if (path.length > MAX_PATH) throw unusable(call, path, "a path has at most 4096 bytes");
  return path;
}

/** @throws SbxError USAGE */
export function guestPath(path: string, call: string): string {
  if (!path.startsWith("/")) throw unusable(call, path, "not an absolute path of the guest");
  return pathText(path, call);
}

/** @throws SbxError USAGE */
export function permissionBits(mode: number, call: string): number {
  if (Number.isInteger(mode) && mode >= 0 && mode <= 0o7777) return mode;
  throw unusable(call, String(mode), "not permission bits, 0 to 0o7777");
}

/** @throws SbxError USAGE */
export function byteCount(count: number, call: string): number {
  if (Number.isSafeInteger(count) && count >= 0) return count;
  throw unusable(call, String(count), "not a number of bytes");
}

/** The error for an argument that cannot be. */
export function unusable(call: string, value: string, state: string): SbxError {
  const shown = `${call}(${quote(value)})`;
  return new SbxError("USAGE", `Cannot use ${shown}: ${state}`, { call: shown, state });
}

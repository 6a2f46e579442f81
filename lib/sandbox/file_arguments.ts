/**
 * Arguments of calls about a guest's files, checked before the guest hears of them. `call` is the call's
 * name. Pure.
 *
 * @module
 */
import { quote } from "../base/escape.ts";
import { flag, kindOf, misuse, optionsOf, text } from "../base/misuse.ts";
import type {
  FileOptions,
  MkdirOptions,
  ReadOptions,
  RemoveOptions,
  WriteOptions,
} from "./files.ts";
import { requireUser } from "./user.ts";

/** More than Linux takes; what is above it would not even fit the call. */
const MAX_PATH = 4096;

/** Every option that any of the calls has. */
type AnyOptions = FileOptions & WriteOptions & MkdirOptions & ReadOptions & RemoveOptions;

/** The options of a call that have a value. @throws SbxError USAGE */
export function fileOptions<Name extends keyof AnyOptions>(
  call: string,
  given: Pick<AnyOptions, Name>,
  names: Readonly<Record<Name, true>>,
): Pick<AnyOptions, Name> {
  const shown = `fs.${call}(…)`;
  const { signal, user, mode, recursive, offset, length }: AnyOptions = optionsOf(
    shown,
    given,
    names,
  );
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw misuse(shown, `${kindOf(signal)} stands where an AbortSignal is expected`);
  }
  if (user !== undefined) requireUser(user, `fs.${call}`);
  if (mode !== undefined) permissionBits(call, mode);
  if (recursive !== undefined) flag(shown, recursive);
  for (const count of [offset, length]) {
    if (count === undefined || Number.isSafeInteger(count) && count >= 0) continue;
    throw misuse(shown, `${quote(String(count))} is no number of bytes`);
  }
  const valued = Object.entries(given).filter(([, value]) => value !== undefined);
  return Object.fromEntries(valued) as Pick<AnyOptions, Name>;
}

/** An absolute path of the guest. @throws SbxError USAGE */
export function guestPath(call: string, path: string): string {
  if (pathText(call, path).startsWith("/")) return path;
  throw misuse(`fs.${call}(${quote(path)})`, "not an absolute path of the guest", {
    hint: "begin it with a slash",
  });
}

/** A path, or the target of a link, absolute or not. @throws SbxError USAGE */
export function pathText(call: string, path: string): string {
  const shown = `fs.${call}(${quote(text(`fs.${call}(…)`, path))})`;
  if (path === "") throw misuse(shown, "a path is not empty");
  if (path.includes("\0")) throw misuse(shown, "a path has no NUL byte");
  if (path.length > MAX_PATH) throw misuse(shown, "a path has at most 4096 bytes");
  return path;
}

/** @throws SbxError USAGE */
export function permissionBits(call: string, mode: number): number {
  if (Number.isInteger(mode) && mode >= 0 && mode <= 0o7777) return mode;
  throw misuse(`fs.${call}(…)`, `${quote(String(mode))} is no permission bits, 0 to 0o7777`);
}

/** What is written to a file, as bytes. @throws SbxError USAGE */
export function contentBytes(call: string, data: string | Uint8Array): Uint8Array {
  if (typeof data === "string") return new TextEncoder().encode(data);
  if (data instanceof Uint8Array) return data;
  throw misuse(`fs.${call}(…)`, `${kindOf(data)} stands where a text or a Uint8Array is expected`);
}

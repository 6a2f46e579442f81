/**
 * Where a copy goes, by the rules of `cp -a`, whichever side its ends are on. Pure.
 *
 * ```
 * target            source      becomes
 * a directory       name        target/name
 * a directory       source/.    target itself, merged
 * a file            a file      target, replaced
 * nothing           any         target, in a directory that is there
 * ```
 *
 * @module
 */
import { type ErrorCode, SbxError } from "../base/errors.ts";
import { escapeText } from "../base/escape.ts";
import type { FileKind } from "../guest/files.ts";

/** A path as it was written, taken apart. */
export interface CopyPath {
  /** Without slashes at its end, unless it is the root. */
  readonly path: string;
  /** The directory that it is in. */
  readonly parent: string;
  /** The last name; empty where that is none. */
  readonly name: string;
  /** It can only be a directory: a slash or "." is at its end. */
  readonly isDirectory: boolean;
  /** It means what is in the directory: it ends in a name that is none, "." or "..", or is the root. */
  readonly contents: boolean;
}

/** Takes a path apart, without asking anybody. Bun's own `dirname` loses bytes that are not UTF-8. */
export function parseCopyPath(text: string): CopyPath {
  let end = text.length;
  while (end > 1 && text[end - 1] === "/") end--;
  const path = text.slice(0, end);
  const slash = path.lastIndexOf("/");
  const last = path.slice(slash + 1);
  const contents = last === "" || last === "." || last === "..";
  return {
    path,
    parent: slash < 0 ? "." : path.slice(0, slash) || "/",
    name: contents ? "" : last,
    isDirectory: contents || path !== text,
    contents,
  };
}

/** What is known of the ends. `null`: nothing has the path. */
export interface CopyEnds {
  readonly source: CopyPath;
  readonly sourceKind: FileKind;
  readonly target: CopyPath;
  readonly targetKind: FileKind | null;
  /** Of the directory that the target is in. */
  readonly parentKind: FileKind | null;
}

/** Where the copy goes: `into` names what it becomes in the target; absent, it is merged or is the target. */
export type CopyPlan =
  | { readonly kind: "into"; readonly name: string }
  | { readonly kind: "merge" }
  | { readonly kind: "become" };

/** @throws SbxError FILE_NOT_FOUND, FILE_NOT_DIRECTORY, FILE_IS_DIRECTORY, FILE_EXISTS, FILE_UNREADABLE */
export function planCopy(ends: CopyEnds): CopyPlan {
  const { source, sourceKind, target, targetKind, parentKind } = ends;
  if (sourceKind === "other") {
    throw refused("FILE_UNREADABLE", source, "neither a file nor a directory");
  }
  if (source.isDirectory && sourceKind !== "directory") {
    throw refused("FILE_NOT_DIRECTORY", source, "not a directory");
  }
  const doing = { to: target };
  switch (targetKind) {
    case "directory":
      return source.contents ? { kind: "merge" } : { kind: "into", name: source.name };
    case null:
      if (parentKind === null) {
        throw refused("FILE_NOT_FOUND", doing, "the directory that it is to be in is not there");
      }
      if (parentKind !== "directory") {
        throw refused("FILE_NOT_DIRECTORY", doing, "what it is to be in is not a directory");
      }
      if (target.isDirectory && sourceKind !== "directory") {
        throw refused("FILE_NOT_FOUND", doing, "there is no such directory");
      }
      return { kind: "become" };
    case "symlink":
      throw refused(
        "FILE_EXISTS",
        doing,
        "a symbolic link is there",
        "end the path in a slash to follow it, or name what it leads to",
      );
    case "other":
      throw refused("FILE_EXISTS", doing, "neither a file nor a directory is there");
    case "file":
      if (target.isDirectory) throw refused("FILE_NOT_DIRECTORY", doing, "a file is there");
      if (sourceKind === "directory") {
        throw refused(
          "FILE_NOT_DIRECTORY",
          doing,
          "a file is there, and a directory was to be copied",
        );
      }
      return { kind: "become" };
  }
}

function refused(
  code: ErrorCode,
  what: CopyPath | { readonly to: CopyPath },
  state: string,
  hint?: string,
): SbxError {
  const doing = "to" in what ? `to ${escapeText(what.to.path)}` : escapeText(what.path);
  return new SbxError(code, `Cannot copy ${doing}: ${state}`, hint === undefined ? {} : { hint });
}

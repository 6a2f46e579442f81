/**
 * What this machine's system said about a file of a copy, with the codes that the guest's files have, too.
 *
 * @module
 */
import { type ErrorCode, SbxError } from "../base/errors.ts";
import { systemCode, systemWords } from "../base/file_error.ts";

const CODES: ReadonlyMap<string, ErrorCode> = new Map([
  ["ENOENT", "FILE_NOT_FOUND"],
  ["EACCES", "FILE_DENIED"],
  ["EPERM", "FILE_DENIED"],
  ["EROFS", "FILE_DENIED"],
  ["EEXIST", "FILE_EXISTS"],
  ["ENOTEMPTY", "FILE_NOT_EMPTY"],
  ["ENOTDIR", "FILE_NOT_DIRECTORY"],
  ["ELOOP", "FILE_NOT_DIRECTORY"], // of a link where a directory was to be entered
  ["EISDIR", "FILE_IS_DIRECTORY"],
  ["ENOSPC", "FILE_NO_SPACE"],
  ["EDQUOT", "FILE_NO_SPACE"],
]);

/** `doing` completes "Cannot …". What is no failure of the system's is given back as it is. */
export function hostFileError(doing: string, cause: unknown): unknown {
  const code = systemCode(cause);
  if (cause instanceof SbxError || code === undefined) return cause;
  return new SbxError(
    CODES.get(code) ?? "FILE_UNREADABLE",
    `Cannot ${doing}: ${systemWords(cause)}`,
    { cause },
  );
}

/**
 * What the system said about a file, in words, as the one error that users see.
 *
 * @module
 */
import { SbxError } from "./errors.ts";
import { escapeText } from "./escape.ts";

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: "no such file or directory",
  EACCES: "permission denied",
  EPERM: "operation not permitted",
  EISDIR: "is a directory",
  ENOTDIR: "a part of the path is not a directory",
  EROFS: "the file system is read-only",
  ENOSPC: "no space left on the device",
  ELOOP: "too many symbolic links",
  ENAMETOOLONG: "the name is too long",
  EMFILE: "too many open files",
  ENFILE: "too many open files in the whole system",
  EFBIG: "the file would be larger than is allowed",
  EAGAIN: "the system has no more room for it",
  ENOMEM: "not enough memory",
  EBADF: "it is closed",
  ENXIO: "nobody reads the other end",
};

/** The system's error code, such as `ENOENT`; undefined when the failure was not the system's. */
export function systemCode(cause: unknown): string | undefined {
  if (!(cause instanceof Error) || !("code" in cause)) return undefined;
  return typeof cause.code === "string" ? cause.code : undefined;
}

/** What the system said, in words where it has some. */
export function systemWords(cause: unknown): string {
  const code = systemCode(cause);
  return code === undefined ? escapeText(String(cause)) : WORDS[code] ?? code;
}

/** `Cannot <doing> <path>: <what the system said>`. */
export function fileError(doing: string, path: string, cause: unknown, hint?: string): SbxError {
  return new SbxError(
    "FILE_UNREADABLE",
    `Cannot ${doing} ${escapeText(path)}: ${systemWords(cause)}`,
    hint === undefined ? { cause } : { cause, hint },
  );
}

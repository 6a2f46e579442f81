/**
 * Why something could not be done with the guest's files, as the error for whoever wanted it. Pure.
 *
 * @module
 */
import { type ErrorCode, SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import type { CallFailure } from "../../wire/call_result.ts";
import type { FileRequest } from "../files.ts";

/** A map, because the code is the guest's word and may be one that every object answers to. */
const CODES: ReadonlyMap<string, ErrorCode> = new Map([
  ["not-found", "FILE_NOT_FOUND"],
  ["denied", "FILE_DENIED"],
  ["exists", "FILE_EXISTS"],
  ["not-empty", "FILE_NOT_EMPTY"],
  ["not-a-directory", "FILE_NOT_DIRECTORY"],
  ["is-a-directory", "FILE_IS_DIRECTORY"],
  ["no-space", "FILE_NO_SPACE"],
]);

const HINTS: Partial<Record<ErrorCode, string>> = {
  FILE_NOT_EMPTY: "remove it with { recursive: true }",
  FILE_NO_SPACE: "remove files in the guest, or start one with more memory or a larger disk",
};

/** `Cannot <do> <path> in the guest: <what the agent said>`. */
export function fileFailure(request: FileRequest, { code, message }: CallFailure): SbxError {
  const known = CODES.get(code) ?? "FILE_UNREADABLE";
  const hint = HINTS[known];
  return new SbxError(
    known,
    `Cannot ${doing(request)}: ${message}`,
    hint === undefined ? {} : { hint },
  );
}

/** What was to be done, as it stands behind "Cannot". */
export function doing(request: FileRequest): string {
  const path = escapeText(request.path);
  switch (request.method) {
    case "read":
    case "write":
    case "list":
    case "remove":
      return `${request.method} ${path} in the guest`;
    case "stat":
      return `examine ${path} in the guest`;
    case "mkdir":
      return `make the directory ${path} in the guest`;
    case "rename":
    case "copy":
      return `${request.method} ${path} to ${escapeText(request.to)} in the guest`;
    case "chmod":
      return `change the mode of ${path} in the guest`;
    case "chown":
      return `give ${path} in the guest to ${escapeText(request.user)}`;
    case "symlink":
      return `make the link ${path} in the guest`;
    case "pack":
      return `copy ${path} out of the guest`;
    case "unpack":
      return `copy to ${path} in the guest`;
    case "changes":
      return `look for changes in ${path} of the guest`;
    case "take":
      return `take changes out of ${path} in the guest`;
  }
}

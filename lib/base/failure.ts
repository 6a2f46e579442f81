/**
 * An error as it travels between processes, and stands in what is kept: plain data. Pure.
 *
 * @module
 */
import { type ErrorCode, SbxError } from "./errors.ts";

/** What a sandbox, or a job of one, failed of, as plain data. */
export interface Failure {
  /** One of the stable codes. */
  readonly code: string;
  /** "Cannot go on: …" */
  readonly message: string;
  /** What to do about it. Absent: there is no advice. */
  readonly hint?: string;
}

/** The error without what only this process has: its cause, and where it was thrown. */
export function failureOf({ code, message, hint }: SbxError): Failure {
  return { code, message, ...(hint === undefined ? {} : { hint }) };
}

/** The reverse. A newer sbx may have said a code that this one does not know. */
export function errorOf(
  { code, message, hint }: Omit<Failure, "hint"> & { readonly hint?: string | undefined },
): SbxError {
  return new SbxError(code as ErrorCode, message, hint === undefined ? {} : { hint });
}

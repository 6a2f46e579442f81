/**
 * Exit statuses. They follow what shells and container tools use, so that scripts can tell the
 * command's failures from sbx's own.
 *
 * | status | meaning |
 * | --- | --- |
 * | 0–255 | the command's own |
 * | 128 + N | the command, or sbx before it started, ended by signal N |
 * | 127, 126 | the command was not found, or could not be executed |
 * | 125 | sbx itself failed |
 * | 124 | `--timeout` was reached |
 * | 5 | `policy test` of a policy without expectations: nothing was checked |
 * | 2 | wrong usage |
 * | 1 | an asking command (`policy test`, `doctor`, `log` of a damaged file) answers "no"; `apply` left something |
 *
 * @module
 */
import { type ErrorCode, SbxError } from "../base/errors.ts";

export const OK = 0;
export const NO = 1;
export const USAGE = 2;
export const NOTHING_CHECKED = 5;
export const TIMED_OUT = 124;
export const FAILED = 125;

const BY_CODE: Partial<Record<ErrorCode, number>> = {
  USAGE,
  EXEC_NOT_EXECUTABLE: 126,
  EXEC_NOT_FOUND: 127,
};

/** The status for a failure; anything but an {@link SbxError} is a fault of sbx. */
export function statusOf(error: unknown): number {
  return error instanceof SbxError ? BY_CODE[error.code] ?? FAILED : FAILED;
}

/** The status of a process that a signal ended. */
export function statusOfSignal(signal: number): number {
  return 128 + signal;
}

/** For the help of `sbx run`. */
export const RUN_STATUSES = `Exit status:
  of the command; 128+N when signal N ended it
  127, 126   it was not found, or could not be executed
  125        sbx itself failed, or --apply left something
  124        --timeout was reached
  2          wrong usage`;

/** For the help of all. */
export const STATUSES = `${RUN_STATUSES}
  5          policy test: there was nothing to check
  1          an asking command answers "no"; apply left something`;

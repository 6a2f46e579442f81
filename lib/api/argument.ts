/**
 * Arguments of builder calls that are written as policy files write them.
 *
 * @module
 */
import type { ErrorCode } from "../base/errors.ts";
import { misuse } from "../base/misuse.ts";
import { PolicyFault } from "../policy/text/fault.ts";

/** Runs the reader of a call's argument; what is wrong with the argument is wrong with the call. */
export function argument<T>(
  call: string,
  read: () => T,
  code: ErrorCode = "POLICY_INVALID",
): T {
  try {
    return read();
  } catch (fault) {
    if (!(fault instanceof PolicyFault)) throw fault;
    throw misuse(call, fault.message, { hint: fault.hint, code });
  }
}

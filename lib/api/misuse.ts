/**
 * Refused arguments of the library's calls. The error keeps call and state apart, so that whoever made
 * the call for somebody else can say it in that one's words.
 *
 * @module
 */
import { type ErrorCode, SbxError } from "../base/errors.ts";
import { PolicyFault } from "../policy/text/fault.ts";

/** "Cannot use `call`: `state`". */
export function misuse(
  call: string,
  state: string,
  { hint, code = "USAGE" }: { readonly hint?: string | undefined; readonly code?: ErrorCode } = {},
): SbxError {
  const message = `Cannot use ${call}: ${state}`;
  return new SbxError(code, message, { call, state, ...(hint === undefined ? {} : { hint }) });
}

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

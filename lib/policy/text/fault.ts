/**
 * What is wrong with a piece of policy text, before anybody knows where the text came from. The
 * outermost reader adds the place and turns it into an `SbxError`.
 *
 * @module
 */

import { type ErrorCode, SbxError } from "../../base/errors.ts";
import { quote } from "../../base/escape.ts";
import { misuse } from "../../base/misuse.ts";
import { nearest } from "../../base/nearest.ts";

export { quote };

export class PolicyFault extends Error {
  override readonly name = "PolicyFault";
  readonly hint: string | undefined;
  /** Where inside the value that was read. */
  readonly path: readonly PropertyKey[];

  /** `state` completes "Cannot read …: "; `hint` is one imperative sentence. */
  constructor(state: string, hint?: string, path: readonly PropertyKey[] = []) {
    super(state);
    this.hint = hint;
    this.path = path;
  }
}

/** Runs a reader of the member `key`; its fault lies there. */
export function within<T>(key: PropertyKey, read: () => T): T {
  try {
    return read();
  } catch (fault) {
    if (!(fault instanceof PolicyFault)) throw fault;
    throw new PolicyFault(fault.message, fault.hint, [key, ...fault.path]);
  }
}

/** A fault about a word that is not one of those known, with the closest one as the hint. */
export function unknownWord(what: string, word: string, known: readonly string[]): PolicyFault {
  const close = nearest(word, known);
  const hint = close === null ? `use one of ${known.join(", ")}` : `did you mean ${close}?`;
  return new PolicyFault(`unknown ${what} ${quote(word)}`, hint);
}

/** Runs a reader; its fault becomes the error "Cannot <attempt>: <state>". */
export function orError<T>(
  attempt: string,
  read: () => T,
  code: ErrorCode = "POLICY_INVALID",
): T {
  return caught(read, ({ message, hint }) =>
    new SbxError(
      code,
      `Cannot ${attempt}: ${message}`,
      hint === undefined ? {} : { hint },
    ));
}

/** Runs the reader of a call's argument; what is wrong with the argument is wrong with the call. */
export function orMisuse<T>(
  call: string,
  read: () => T,
  code: ErrorCode = "POLICY_INVALID",
): T {
  return caught(read, ({ message, hint }) => misuse(call, message, { hint, code }));
}

function caught<T>(read: () => T, errorOf: (fault: PolicyFault) => SbxError): T {
  try {
    return read();
  } catch (fault) {
    if (!(fault instanceof PolicyFault)) throw fault;
    throw errorOf(fault);
  }
}

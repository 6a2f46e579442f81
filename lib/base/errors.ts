/**
 * The one error that sbx throws on purpose.
 *
 * Messages follow `Cannot <do> <thing>: <state>`, without a full stop. Whoever can mend the state
 * puts the mend into `hint`. Callers branch on `code`, never on the text.
 *
 * @module
 */

/** Stable identifiers of what went wrong; part of the public API, never reused for another meaning. */
export type ErrorCode =
  | "USAGE" // the command line or a builder call is malformed
  | "POLICY_INVALID" // a policy, rule or list does not parse
  | "FILE_UNREADABLE" // a file the user named cannot be read or written
  | "REQUIREMENT_MISSING" // QEMU, kernel, KVM permission …: see `sbx doctor`
  | "GUEST_START" // the guest did not reach "agent ready"
  | "GUEST_LOST" // QEMU or the agent ended while in use
  | "GUEST_FAILED" // the guest could not do what it was asked to
  | "PIPE_CLOSED" // input for a command that reads no more
  | "NETSTACK_LOST" // netstack ended or broke the protocol
  | "PROTOCOL" // a peer sent bytes that its protocol does not allow
  | "PORT_UNAVAILABLE" // the address to publish on is not one of this machine
  | "PORT_BUSY" // a published port is taken
  | "RESOLVER" // no usable upstream resolver
  | "EXEC_NOT_FOUND" // exit status 127
  | "EXEC_NOT_EXECUTABLE" // exit status 126
  | "OUTPUT_TOO_LONG" // a command printed more than `output()` collects
  | "TIMEOUT" // a limit the user set was reached: exit status 124
  | "TLS_INVALID" // a certificate or key the user gave cannot be used
  | "CA_EXISTS" // `sbx ca init` over an authority that is kept already
  | "CA_MISSING" // no authority is kept
  | "STOPPED"; // the sandbox was already stopped

/** Optional parts of an {@link SbxError}. */
export interface SbxErrorOptions {
  /** What to do about it, as one imperative sentence without a full stop. */
  readonly hint?: string;
  /** The lower-level failure. */
  readonly cause?: unknown;
}

/** An expected failure with a stable code; anything else that escapes is a bug in sbx. */
export class SbxError extends Error {
  override readonly name = "SbxError";
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  constructor(code: ErrorCode, message: string, options: SbxErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.hint = options.hint;
  }
}

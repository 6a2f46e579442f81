/**
 * The one error that sbx throws on purpose.
 *
 * Messages follow `Cannot <do> <thing>: <state>`, without a full stop. Whoever can mend the state
 * puts the mend into `hint`. Callers branch on `code`, never on the text. Both are one line that is
 * safe to show; whoever puts text of others into them still bounds it, so that the rest is not cut.
 *
 * @module
 */

import { escapeMessage } from "./escape.ts";

/** Stable identifiers of what went wrong; part of the public API, never reused for another meaning. */
export type ErrorCode =
  | "USAGE" // the command line or a builder call is malformed
  | "POLICY_INVALID" // a policy, rule or list does not parse
  | "FILE_UNREADABLE" // a file the user named cannot be read or written
  | "FILE_NOT_FOUND" // nothing has the path, or a directory on the way to it is missing
  | "FILE_DENIED" // permissions, or a file system that is read-only
  | "FILE_EXISTS" // something else has the path already
  | "FILE_NOT_EMPTY" // a directory that holds something was to be removed or replaced
  | "FILE_NOT_DIRECTORY" // a file where a directory has to be
  | "FILE_IS_DIRECTORY" // a directory where a file has to be
  | "FILE_NO_SPACE" // the file system is full
  | "FILE_TOO_LARGE" // more than a call returns at once
  | "CHANGES_MOVED" // what a guest changed is not what was looked at any more
  | "REQUIREMENT_MISSING" // QEMU, kernel, KVM permission …: see `sbx doctor`
  | "GUEST_START" // the guest did not reach "agent ready"
  | "GUEST_LOST" // QEMU or the agent ended while in use
  | "GUEST_FAILED" // the guest could not do what it was asked to
  | "PIPE_CLOSED" // input for a command that reads no more
  | "NETSTACK_LOST" // netstack ended or broke the protocol
  | "PROTOCOL" // a peer sent bytes that its protocol does not allow
  | "PORT_UNAVAILABLE" // the address to publish on is not one of this machine
  | "PORT_BUSY" // a published port is taken
  | "DISK_BUSY" // another guest has the disk
  | "DISK_MISSING" // what was asked for needs a sandbox with a disk that has something on it
  | "RESOLVER" // no usable upstream resolver
  | "EXEC_NOT_FOUND" // exit status 127
  | "EXEC_NOT_EXECUTABLE" // exit status 126
  | "OUTPUT_TOO_LONG" // a command printed more than `output()` collects
  | "PORT_MISSING" // no such port is published
  | "CONNECTION_REFUSED" // nobody in the guest listens on the port
  | "CONNECTION_RESET" // a server of the guest broke a connection off
  | "PORT_TIMEOUT" // nobody in the guest listened on the port in time
  | "POLICY_FIXED" // a setting that cannot change while the sandbox runs
  | "TLS_INVALID" // a certificate or key the user gave cannot be used
  | "CA_EXISTS" // `sbx ca init` over an authority that is kept already
  | "CA_MISSING" // no authority is kept
  | "SECRET_INVALID" // the declaration or the value of a secret cannot be used
  | "SECRET_UNAVAILABLE" // the source of a secret gives no value
  | "SECRET_VIOLATION" // a placeholder went astray, which was to end the sandbox
  | "SANDBOX_EXISTS" // the name is taken
  | "SANDBOX_MISSING" // there is no sandbox of that name
  | "SANDBOX_RUNNING" // what was asked for needs a sandbox that is stopped
  | "SNAPSHOT_EXISTS" // the tag is taken
  | "SNAPSHOT_MISSING" // there is no snapshot of that tag
  | "MEMORY_UNSAVABLE" // the memory of a guest cannot be kept, or gone on from
  | "SUPERVISOR_LOST" // the process that owns a named sandbox ended
  | "STATE_UNUSABLE" // what is kept of sandboxes is damaged, or somebody else's
  | "LIMA_INSTANCE" // an instance of Lima's that sbx does not run
  | "JOB_MISSING" // there is no job of that number
  | "UPDATE_UNKNOWN" // nobody says which version of sbx is the newest
  | "INTERNAL" // a fault of sbx itself, in another process
  | "STOPPED"; // the sandbox is not running

/** One thing that is wrong, and what to do about it. */
export interface Complaint {
  /** How things stand, and where. */
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
}

/** Optional parts of an {@link SbxError}. */
export interface SbxErrorOptions {
  /** What to do about it, as one imperative sentence without a full stop. */
  readonly hint?: string;
  /** The lower-level failure. */
  readonly cause?: unknown;
  /** The state alone, where somebody says it of something else, too. */
  readonly state?: string;
  /** More of the same, where one look finds several. */
  readonly others?: readonly Complaint[];
  /** The call of the library that refused one of its arguments: `cpus(0)`. */
  readonly call?: string;
}

/** An expected failure with a stable code; anything else that escapes is a bug in sbx. */
export class SbxError extends Error {
  /** Tells it from other errors where `instanceof` cannot. */
  override readonly name = "SbxError";
  /** What went wrong, for programs. */
  readonly code: ErrorCode;
  /** What to do about it, as one imperative sentence; undefined when there is nothing. */
  readonly hint: string | undefined;
  /** How things stand, without what therefore could not be done; undefined where only both make sense. */
  readonly state: string | undefined;
  /** What else is wrong, for who wants to mend it all at once; most errors stand alone. */
  readonly others: readonly Complaint[];
  /** The builder call whose argument was refused; undefined for every other failure. */
  readonly call: string | undefined;

  /** `message` is of the form "Cannot do this: because that". */
  constructor(code: ErrorCode, message: string, options: SbxErrorOptions = {}) {
    super(
      escapeMessage(message),
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.code = code;
    this.hint = escaped(options.hint);
    this.state = escaped(options.state);
    this.call = escaped(options.call);
    this.others = (options.others ?? []).map(({ message, hint }) => ({
      message: escapeMessage(message),
      ...(hint === undefined ? {} : { hint: escapeMessage(hint) }),
    }));
  }
}

/** The message of an error where it does not begin a sentence. */
export function inSentence({ message }: Pick<Error, "message">): string {
  // Only the verb of "Cannot …" is ours to bend; names and paths keep their case.
  return message.startsWith("Cannot ") ? `cannot ${message.slice(7)}` : message;
}

function escaped(text: string | undefined): string | undefined {
  return text === undefined ? undefined : escapeMessage(text);
}

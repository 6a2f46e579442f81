/**
 * What a guest changed in a copy that it was given of a directory, and what becomes of that here.
 *
 * @module
 */
import type { FileKind } from "../../guest/files.ts";

/**
 * What happened to a path. `type`: something else is there now, such as a link in a file's place; `mode`: the
 * same with other permission bits.
 */
export type ChangeKind = "added" | "modified" | "deleted" | "mode" | "type";

/** What is known of one side of a change. */
export interface ChangedFile {
  /** What it is. */
  readonly kind: FileKind;
  /** Permission bits; at most 0o777, since nothing else is taken over. */
  readonly mode: number;
  /** Bytes of a file's content; 0 for everything else. */
  readonly size: number;
  /** SHA-256 of a file's content, in hexadecimal. Absent where nothing depends on it, and of the largest files. */
  readonly sha256?: string;
  /** Where a symbolic link leads. */
  readonly target?: string;
}

/**
 * Why a change is not taken over unless somebody says so. `conflict`: the file here is not the one any more that
 * the guest was given; `executed`: programs of this machine run such a file, or obey it, by themselves;
 * `outside`: a link that leads out of the directory; `special`: what cannot be taken over at all, such as a device.
 */
export type HeldReason = "conflict" | "executed" | "outside" | "special";

/** One path that differs between this machine's directory and the guest's copy. */
export interface Change {
  /** Below the directory, with slashes. */
  readonly path: string;
  /** In the guest. */
  readonly guestPath: string;
  /** On this machine. */
  readonly hostPath: string;
  /** What happened to it. */
  readonly kind: ChangeKind;
  /** What is here now; absent where nothing is. */
  readonly before?: ChangedFile;
  /** What the guest has; absent where that is nothing. */
  readonly after?: ChangedFile;
  /** How its text changed, as `git apply` takes it, where that was asked for and it is one of a readable length. */
  readonly patch?: string;
  /** Why it is held back; absent where it is not. */
  readonly held?: HeldReason;
  /** The same in words. */
  readonly why?: string;
}

/** All that differs, in the order of paths within each copy. */
export interface Changes {
  /** The changes. */
  readonly changes: readonly Change[];
  /**
   * Stands for exactly these changes, contents included: `apply` with it takes these over, or nothing. In
   * hexadecimal.
   */
  readonly digest: string;
}

/** What of the changes is meant. */
export interface ChangeSelection {
  /**
   * Absolute paths of the guest, or paths below the copied directory, each with all below it. Absent or empty: all
   * there is.
   */
  readonly paths?: readonly string[];
}

/** Of `apply`. */
export interface ApplyChangesOptions extends ChangeSelection {
  /** True: only answers what it would do. */
  readonly dryRun?: boolean;
  /** True: takes conflicts over as well; what this machine has there is lost. */
  readonly force?: boolean;
  /** True: takes over what is `executed` or leads `outside`, too. Paths that are named themselves need no such word. */
  readonly includeUnsafe?: boolean;
  /** What `diff` answered for the same paths: where the guest or this machine has gone on, nothing is taken over. */
  readonly digest?: string;
}

/** A change that was begun, and could not be made. */
export interface FailedChange {
  /** The change. */
  readonly change: Change;
  /** Why. */
  readonly message: string;
}

/** What became of the changes. */
export interface ApplyReport {
  /** Those that this machine has now; with `dryRun`, would have. */
  readonly applied: readonly Change[];
  /** Those that were held back. */
  readonly held: readonly Change[];
  /** Those that could not be made, and what depends on them; none of the others is half made. */
  readonly failed: readonly FailedChange[];
}

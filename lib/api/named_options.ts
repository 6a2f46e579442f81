/**
 * Options of the calls of named sandboxes.
 *
 * @module
 */
import { callable, flag, misuse, optionsOf } from "../base/misuse.ts";
import type { NoticeTopic } from "../guest/provider.ts";
import { type Abortable, signalOf } from "./abortable.ts";

/** How a named sandbox is started. */
export interface StartNamedOptions {
  /** Called with what a person should know of the start; see {@link NoticeTopic}. */
  readonly onNotice?: (line: string, topic?: NoticeTopic) => void;
  /** Aborting it gives the start up. */
  readonly signal?: AbortSignal;
}

/** What of a job's output is wanted. */
export interface AttachOptions {
  /** Begins at this offset, in bytes of both streams together; 0 when absent. */
  readonly from?: number;
  /** Aborting it ends the reading, which rejects with the signal's reason; the job goes on. */
  readonly signal?: AbortSignal;
}

/** What of a job's output is wanted, and whether that is all. */
export interface LogOptions extends AttachOptions {
  /** Goes on with what comes, until the job or its sandbox ends; false when absent. */
  readonly follow?: boolean;
}

/** How a named sandbox ends. */
export interface StopOptions extends Abortable {
  /**
   * Its main command gets SIGTERM and may take so many milliseconds before the machine is ended; 10,000 when
   * absent, 0 asks nothing.
   */
  readonly graceMs?: number;
}

/** How a named sandbox is removed. */
export interface RemoveNamedOptions extends Abortable {
  /** Kills it before, when it runs; false when absent. */
  readonly force?: boolean;
}

/** How a sandbox is forked. */
export interface ForkOptions extends StartNamedOptions {
  /** False only writes it down; true when absent. */
  readonly start?: boolean;
}

/** @internal The same, with what holds when it is absent. @throws SbxError USAGE */
export function forkOptionsOf(
  options: ForkOptions,
): StartNamedOptions & { readonly start: boolean } {
  const known = { start: true, onNotice: true, signal: true } as const;
  const { start = true, ...starting } = optionsOf("fork(…)", options, known);
  return { start: flag("fork(…)", start), ...starting };
}

/** How a snapshot is taken. */
export interface SnapshotOptions extends Abortable {
  /** Whether there is to be no snapshot without the memory and the processes; false when absent. */
  readonly memory?: boolean;
  /** Called with what a person should know: that it has the disk alone, and why. */
  readonly onNotice?: (line: string) => void;
}

/** @internal What a snapshot is taken by. @throws SbxError USAGE */
export function snapshotOptionsOf(options: SnapshotOptions): {
  readonly memory: boolean;
  readonly signal: AbortSignal | undefined;
  readonly onNotice: SnapshotOptions["onNotice"];
} {
  const known = { memory: true, onNotice: true, signal: true } as const;
  const { memory = false, onNotice, signal } = optionsOf("snapshot(…)", options, known);
  flag("snapshot(…)", memory);
  if (onNotice !== undefined) callable("snapshot(…)", onNotice);
  return {
    memory,
    signal: signalOf("snapshot(…)", signal === undefined ? {} : { signal }),
    onNotice,
  };
}

/** Whom somebody logs in as. */
export interface SshOptions extends Abortable {
  /** A user of the guest, as `exec` takes it. Absent: whom commands run as. */
  readonly user?: string;
}

const GRACE_MS = 10_000;

/** @throws SbxError USAGE */
export function graceOf(
  options: StopOptions,
): { graceMs: number; signal: AbortSignal | undefined } {
  const known = { graceMs: true, signal: true } as const;
  const { graceMs = GRACE_MS, signal } = optionsOf("stop(…)", options, known);
  if (typeof graceMs !== "number" || !(graceMs >= 0)) {
    throw misuse("stop(…)", "graceMs is no number of milliseconds");
  }
  return { graceMs: Math.min(graceMs, Number.MAX_SAFE_INTEGER), signal };
}

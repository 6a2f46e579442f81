/**
 * A machine that is saved while it runs: its memory, its processors and devices, and what its file daemons know, as
 * one file; and what has to be known to go on from it. Pure.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";

/**
 * Where in its file it begins, in bytes. QEMU goes on behind what it wrote before, unless it is told a place, and
 * does not take the very beginning for one.
 */
export const STATE_BEGINS = 4096;

/** How the reason begins why one is not saved. */
export const UNSAVED = "Cannot save the guest's memory: ";

export function unsavable(state: string, options: { readonly hint?: string } = {}): SbxError {
  return new SbxError("MEMORY_UNSAVABLE", `${UNSAVED}${state}`, options);
}

/** What is known of a saved machine. */
export interface SavedFacts {
  /** Of all that it depends on here, in lower-case hexadecimal: one with another key cannot go on from it. */
  readonly key: string;
  /** How many calls its agent has had. */
  readonly calls: number;
  /** Of the time stamp counter that its kernel counts by; 0 where it was not told of one. */
  readonly tscKHz: number;
}

export interface SavedMachine extends SavedFacts {
  /** Absolute: the file. */
  readonly state: string;
}

/** How a machine can be saved. */
export interface Saving {
  /** Absolute: the file that its state is written to, which nobody else can open. */
  readonly state: string;
  /** What it goes on from. Absent: it boots. */
  readonly from?: SavedMachine;
}

/** A machine that stands still, and was saved: the file of {@link Saving.state} has it until it goes on. */
export interface HeldMachine {
  readonly facts: SavedFacts;
  /** Lets it go on. @throws SbxError when it cannot */
  release(): Promise<void>;
}

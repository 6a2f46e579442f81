/**
 * The journal as its writers see it: one line for everything that went over the wire or was kept from it.
 *
 * @module
 */
import type { JournalEvent } from "./format.ts";

export interface Journal {
  /** Never fails; what cannot be written is lost, and a line says how much. */
  write(event: JournalEvent): void;
  /** Resolves, when all lines are with the operating system, to how many never got there. */
  close(): Promise<number>;
}

/** A journal that nobody asked for. */
export const NO_JOURNAL: Journal = { write: () => {}, close: () => Promise.resolve(0) };

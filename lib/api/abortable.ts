/**
 * Waits that may be given up: the one option that every call which waits has.
 *
 * @module
 */
import { optionsOf } from "../base/misuse.ts";

/** A wait that may be given up. */
export interface Abortable {
  /** Aborting it ends the wait, which rejects with the signal's reason; what was asked for may still be done. */
  readonly signal?: AbortSignal;
}

/** Of a call with no other option, which has not begun yet. @throws SbxError USAGE, and the signal's reason */
export function signalOf(call: string, options: Abortable): AbortSignal | undefined {
  const { signal } = optionsOf(call, options, { signal: true });
  signal?.throwIfAborted();
  return signal;
}

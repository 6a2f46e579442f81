/**
 * Work that takes its time, and that a signal to sbx gives up.
 *
 * @module
 */
import { statusOfSignal } from "./exit.ts";
import { Signals } from "./signals.ts";

/** Resolves to what `work` does; once it fails after a signal, to the status of that. */
export async function unlessSignalled(
  work: (signal: AbortSignal) => Promise<number>,
): Promise<number> {
  const signals = new Signals();
  try {
    return await work(signals.own);
  } catch (error) {
    if (signals.ownSignal !== undefined) return statusOfSignal(signals.ownSignal);
    throw error;
  } finally {
    signals.release();
  }
}

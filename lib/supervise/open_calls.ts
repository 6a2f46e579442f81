/**
 * The calls that are being answered, so that at the end whoever asked still hears of it.
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";

/** What is being answered at the end may take so long. */
const FAREWELL_MS = 1_000;

export class OpenCalls {
  readonly #open = new Set<Promise<void>>();

  /** The answer, as it was given. */
  add<T>(answer: Promise<T>): Promise<T> {
    const settled = answer.then(() => {}, () => {}).then(() => void this.#open.delete(settled));
    this.#open.add(settled);
    return answer;
  }

  /** Resolves when all are answered, and so is what else is to be said; or that takes too long. */
  async farewell(also?: Promise<void>): Promise<void> {
    const late = new AbortController();
    const said = Promise.all([also, ...this.#open]);
    await Promise.race([said, delay(FAREWELL_MS, undefined, { signal: late.signal })]);
    late.abort();
  }
}

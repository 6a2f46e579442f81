/**
 * Work on all of many, in which others have their turn: a guest decides how many there are, and a sandbox whose process
 * does nothing else for ten seconds is ended.
 *
 * @module
 */
import { setImmediate as turn } from "node:timers/promises";

const BATCH = 500;

/** The same, each at its time. */
export async function* inTurns<T>(all: Iterable<T>): AsyncGenerator<T, void> {
  let done = 0;
  for (const each of all) {
    if (++done % BATCH === 0) await turn();
    yield each;
  }
}

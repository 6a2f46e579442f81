/**
 * A wait that has an end: what is waited for goes on.
 *
 * @module
 */
import { type Clock, systemClock } from "./clock.ts";

/** The value; once so many milliseconds have passed, the error that `late` makes. */
export async function inTime<T>(
  value: Promise<T>,
  ms: number,
  late: () => Error,
  clock: Clock = systemClock,
): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const disarm = clock.after(ms, () => reject(late()));
  value.catch(() => {}); // a loser of the race is nobody's to handle
  return await Promise.race([value, promise]).finally(disarm);
}

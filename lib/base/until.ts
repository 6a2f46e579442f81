/**
 * A wait that may be given up: what is waited for goes on.
 *
 * @module
 */

/** The value; the signal's reason, once that is aborted. */
export async function untilAborted<T>(
  value: Promise<T>,
  signal: AbortSignal | undefined,
): Promise<T> {
  if (signal === undefined) return await value;
  value.catch(() => {}); // a loser of the race is nobody's to handle
  signal.throwIfAborted();
  const { promise, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener("abort", abort, { once: true });
  return await Promise.race([value, promise])
    .finally(() => signal.removeEventListener("abort", abort));
}

/** Resolves once the signal is aborted, at once where it is. */
export async function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

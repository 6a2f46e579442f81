/**
 * Times as utimensat(2) takes them, on all systems. Pure.
 *
 * @module
 */

const NS = 1_000_000_000n;

/** Two `struct timespec`: `omit` for the last access, which stays, and the time. */
export function timesOf(ns: bigint, omit: bigint): Uint8Array {
  const nanoseconds = (ns % NS + NS) % NS;
  return new Uint8Array(
    new BigInt64Array([0n, omit, (ns - nanoseconds) / NS, nanoseconds]).buffer,
  );
}

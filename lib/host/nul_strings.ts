/**
 * Strings of bytes, each of which ends with NUL, as kernels hand out what a process was started with. Pure.
 *
 * @module
 */

/** All of them, or the first `most`. A last one need not have its NUL. */
export function split(bytes: Uint8Array, most = Infinity): Uint8Array[] {
  const found: Uint8Array[] = [];
  for (let at = 0; at < bytes.length && found.length < most;) {
    const end = bytes.indexOf(0, at);
    const stop = end < 0 ? bytes.length : end;
    found.push(bytes.subarray(at, stop));
    at = stop + 1;
  }
  return found;
}

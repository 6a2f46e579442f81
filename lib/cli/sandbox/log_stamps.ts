/**
 * When each line of a log was printed, in front of it. Pure.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { LogPiece } from "../../mod.ts";

const NEWLINE = 10;

/** Of each stream, whether a line of it has begun. */
export class LogStamps {
  readonly #begun = { 1: false, 2: false };

  /** The bytes of a piece, with its time in front of each line that begins in it. */
  stamped({ stream, atMs, bytes }: LogPiece): Uint8Array {
    const stamp = Buffer.from(`${new Date(atMs).toISOString()} `);
    const parts: Uint8Array[] = [];
    for (let at = 0; at < bytes.length;) {
      const end = bytes.indexOf(NEWLINE, at) + 1 || bytes.length;
      if (!this.#begun[stream]) parts.push(stamp);
      parts.push(bytes.subarray(at, end));
      this.#begun[stream] = bytes[end - 1] !== NEWLINE;
      at = end;
    }
    return Buffer.concat(parts);
  }
}

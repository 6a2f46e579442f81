/**
 * Bytes that wait to be sent.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** Smaller pieces are copied together: a million pieces of one byte must not cost a million objects. */
const SMALL = 8_192;
const BLOCK = 16_384;

export class ByteQueue {
  #pieces: Buffer[] = [];
  /** The last piece when it is a block of our own, with `#room` bytes left behind its end. */
  #block: Buffer | null = null;
  #used = 0;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  push(bytes: Buffer): void {
    if (bytes.length === 0) return;
    this.#size += bytes.length;
    if (bytes.length >= SMALL) {
      this.#block = null;
      this.#pieces.push(bytes);
      return;
    }
    if (this.#block === null || this.#used + bytes.length > BLOCK) {
      this.#block = Buffer.allocUnsafe(BLOCK);
      this.#used = 0;
      this.#pieces.push(this.#block.subarray(0, 0));
    }
    bytes.copy(this.#block, this.#used);
    const last = this.#pieces.length - 1;
    const from = this.#used - (this.#pieces[last]?.length ?? 0);
    this.#used += bytes.length;
    this.#pieces[last] = this.#block.subarray(from, this.#used);
  }

  /** Takes up to `limit` bytes from the front, in one piece where that needs no copy. */
  take(limit: number): Buffer {
    const first = this.#pieces[0];
    if (first === undefined) return Buffer.alloc(0);
    if (first.length > limit) {
      this.#pieces[0] = first.subarray(limit);
      this.#size -= limit;
      return first.subarray(0, limit);
    }
    this.#pieces.shift();
    if (this.#pieces.length === 0) this.#block = null;
    this.#size -= first.length;
    return first;
  }

  clear(): void {
    this.#pieces = [];
    this.#block = null;
    this.#size = 0;
  }
}

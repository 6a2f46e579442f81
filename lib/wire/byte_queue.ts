/**
 * Bytes that wait to be sent, or to be read.
 *
 * @module
 */
import { Buffer } from "node:buffer";

/** Smaller pieces are copied together: a million pieces of one byte must not cost a million objects. */
const SMALL = 8_192;
const BLOCK = 16_384;

/** Memory of our own that small pieces are copied to, and how much of it they fill. */
interface Block {
  readonly bytes: Buffer;
  filled: number;
}

export class ByteQueue {
  #pieces: Buffer[] = [];
  /** What comes after the pieces. */
  #block: Block | null = null;
  #size = 0;

  get size(): number {
    return this.#size;
  }

  /** Large pieces are kept as they are, small ones are copied. */
  push(bytes: Buffer): void {
    if (bytes.length < SMALL) return this.#copy(bytes);
    this.#closeBlock();
    this.#size += bytes.length;
    this.#pieces.push(bytes);
  }

  /** For bytes in memory that is not ours to keep. */
  pushCopy(bytes: Uint8Array): void {
    if (bytes.length < SMALL) this.#copy(bytes);
    else this.push(Buffer.from(bytes));
  }

  /** Takes up to `limit` bytes from the front, in one piece where that needs no copy. */
  take(limit: number): Buffer {
    if (this.#pieces.length === 0) this.#closeBlock();
    const first = this.#pieces[0];
    if (first === undefined) return Buffer.alloc(0);
    if (first.length > limit) {
      this.#pieces[0] = first.subarray(limit);
      this.#size -= limit;
      return first.subarray(0, limit);
    }
    this.#pieces.shift();
    this.#size -= first.length;
    return first;
  }

  /** Takes all there is, in one piece. */
  takeAll(): Buffer {
    const pieces: Buffer[] = [];
    while (this.#size > 0) pieces.push(this.take(this.#size));
    return Buffer.concat(pieces);
  }

  clear(): void {
    this.#pieces = [];
    this.#block = null;
    this.#size = 0;
  }

  #copy(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    // Where pieces are taken as they come, a block for each would cost more than the piece.
    if (this.#size === 0) {
      this.#size = bytes.length;
      this.#pieces.push(Buffer.from(bytes));
      return;
    }
    if (this.#block === null || this.#block.filled + bytes.length > BLOCK) {
      this.#closeBlock();
      this.#block = { bytes: Buffer.allocUnsafe(BLOCK), filled: 0 };
    }
    this.#block.bytes.set(bytes, this.#block.filled);
    this.#block.filled += bytes.length;
    this.#size += bytes.length;
  }

  /** Nothing is copied behind what waits in the block any more, which becomes a piece like the others. */
  #closeBlock(): void {
    if (this.#block === null) return;
    const { bytes, filled } = this.#block;
    this.#block = null;
    this.#pieces.push(bytes.subarray(0, filled));
  }
}

/**
 * Reading binary formats without reading past their end.
 *
 * @module
 */

/** Thrown by every read beyond the end; parsers turn it into their own verdict. */
export class Truncated extends Error {
  override readonly name = "Truncated";
}

/** A position in bytes; all numbers are big-endian. */
export class Cursor {
  readonly bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  get left(): number {
    return this.bytes.length - this.at;
  }

  u8(): number {
    const byte = this.bytes[this.at];
    if (byte === undefined) throw new Truncated();
    this.at++;
    return byte;
  }

  u16(): number {
    return this.u8() << 8 | this.u8();
  }

  u24(): number {
    return this.u8() << 16 | this.u16();
  }

  u32(): number {
    return (this.u16() * 0x1_0000) + this.u16();
  }

  /** A view, not a copy. */
  take(length: number): Uint8Array {
    if (length > this.left) throw new Truncated();
    const part = this.bytes.subarray(this.at, this.at + length);
    this.at += length;
    return part;
  }

  skip(length: number): void {
    this.take(length);
  }
}

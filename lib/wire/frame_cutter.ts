/**
 * A byte stream cut into frames that state their length at their head. Pure.
 *
 * Work is linear in the bytes however they are cut: what is missing is appended to what is held, in room
 * that doubles, and whole frames are read where they are. At most one incomplete frame is held.
 *
 * @module
 */
export class FrameCutter {
  readonly #header: number;
  readonly #sizeOf: (bytes: Uint8Array) => number;
  #room = new Uint8Array(0);
  #held = 0;

  /**
   * `header`: bytes that precede every payload. `sizeOf`: of the frame that begins here, header included;
   * is given at least a header, and bounds what is held by throwing.
   */
  constructor(header: number, sizeOf: (bytes: Uint8Array) => number) {
    this.#header = header;
    this.#sizeOf = sizeOf;
  }

  /** The frames that these bytes complete, header included; valid until the next `push`. */
  *push(bytes: Uint8Array): Generator<Uint8Array, void, undefined> {
    let rest = bytes;
    while (this.#held > 0) {
      const wanted = this.#held < this.#header ? this.#header : this.#sizeOf(this.#room);
      rest = this.#hold(rest, wanted - this.#held);
      if (this.#held < wanted) return;
      const size = this.#sizeOf(this.#room);
      if (this.#held < size) continue;
      const frame = this.#room.subarray(0, size);
      this.#room = new Uint8Array(0);
      this.#held = 0;
      yield frame;
    }
    while (rest.length >= this.#header) {
      const size = this.#sizeOf(rest);
      if (rest.length < size) break;
      yield rest.subarray(0, size);
      rest = rest.subarray(size);
    }
    this.#hold(rest, rest.length);
  }

  /** Takes so many bytes, or all there are; answers the others. */
  #hold(bytes: Uint8Array, count: number): Uint8Array {
    const part = bytes.subarray(0, count);
    const held = this.#held + part.length;
    if (held > this.#room.length) {
      const room = new Uint8Array(Math.max(256, 2 * held));
      room.set(this.#room.subarray(0, this.#held));
      this.#room = room;
    }
    this.#room.set(part, this.#held);
    this.#held = held;
    return bytes.subarray(part.length);
  }
}

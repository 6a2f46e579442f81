/**
 * Cuts a stream of bytes into lines. A line without an end costs its bound and no more, whatever the
 * file holds.
 *
 * @module
 */

/** Lines of a journal are a few hundred bytes, that of a long policy some hundred kilobytes. */
const MAX_LINE_BYTES = 4 << 20;

const NEWLINE = 10;

export class LineCutter {
  readonly #maxBytes: number;
  #parts: Uint8Array[] = [];
  #held = 0;
  #overlong = false;

  constructor(maxBytes: number = MAX_LINE_BYTES) {
    this.#maxBytes = maxBytes;
  }

  /** The lines that these bytes complete, without their ends; null for one that was too long. */
  *push(bytes: Uint8Array): Generator<string | null, void> {
    let from = 0;
    for (let end = bytes.indexOf(NEWLINE); end >= 0; end = bytes.indexOf(NEWLINE, from)) {
      this.#hold(bytes.subarray(from, end));
      yield this.#take();
      from = end + 1;
    }
    this.#hold(bytes.slice(from)); // a copy, because the reader fills its buffer again
  }

  /** What came after the last line's end, if anything did. */
  *end(): Generator<string | null, void> {
    if (this.#held > 0) yield this.#take();
  }

  #hold(part: Uint8Array): void {
    if (part.length === 0) return;
    this.#held += part.length;
    if (this.#held > this.#maxBytes) {
      this.#overlong = true;
      this.#parts = [];
    }
    if (!this.#overlong) this.#parts.push(part);
  }

  #take(): string | null {
    const line = this.#overlong ? null : decode(this.#parts, this.#held);
    this.#parts = [];
    this.#held = 0;
    this.#overlong = false;
    return line;
  }
}

function decode(parts: readonly Uint8Array[], size: number): string {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return new TextDecoder().decode(whole);
}

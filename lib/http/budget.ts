/**
 * Memory that many connections share, beyond what each has for itself.
 *
 * @module
 */

export class Budget {
  #left: number;

  /** In bytes. */
  constructor(bytes: number) {
    this.#left = bytes;
  }

  /** All of it or nothing. */
  borrow(bytes: number): boolean {
    if (bytes > this.#left) return false;
    this.#left -= bytes;
    return true;
  }

  giveBack(bytes: number): void {
    this.#left += bytes;
  }
}

/**
 * How much more the sender of a body may send when what is sent on is of another length than what came
 * (RFC 9113 5.2): as much as came, once all that was made of it has left. What a transform holds back is
 * its own to bound, and never waits for credit that waits for it.
 *
 * @module
 */

/** A mark for every piece of a byte would cost more than the byte. */
const GRAIN = 4_096;

interface Mark {
  /** Content that came, and after how many bytes sent on in all it is off our hands. */
  came: number;
  until: number;
}

export class Credit {
  /** Oldest first. */
  readonly #marks: Mark[] = [];
  #made = 0;
  #sent = 0;

  /** So much content came, and so much is sent on for it, or with it. */
  took(came: number, made: number): void {
    this.#made += made;
    const last = this.#marks.at(-1);
    if (last === undefined || last.came >= GRAIN) {
      this.#marks.push({ came, until: this.#made });
    } else {
      last.came += came;
      last.until = this.#made;
    }
  }

  /** All that was made has left. */
  get settled(): boolean {
    return this.#sent >= this.#made;
  }

  /** So much of what is sent on has left; content whose sender may send as much again. */
  sent(bytes: number): number {
    this.#sent += bytes;
    let due = 0;
    for (let mark = this.#marks[0]; mark !== undefined && mark.until <= this.#sent;) {
      due += mark.came;
      this.#marks.shift();
      mark = this.#marks[0];
    }
    return due;
  }
}

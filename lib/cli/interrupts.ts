/**
 * Ctrl-C in a raw terminal: a key like any other, and the command's, until it is typed a third time to a
 * command that does not care. A shell that prints its prompt again cares, and so does whatever else
 * prints something; people press the key often there, and mean no harm.
 *
 * @module
 */

/** What a raw terminal sends for it. */
export const CTRL_C = 3;

/** How many of them, one soon after the other, end a command. */
const ENOUGH = 3;

/** Between two that belong together. */
const SOON_MS = 2000;

/** The guest's terminal shows the key itself, whatever the command does: `^C`, and perhaps a new line. */
const ECHO: ReadonlySet<number> = new Set(Array.from("^C\r\n", (each) => each.charCodeAt(0)));

export class Interrupts {
  #count = 0;
  #last = -Infinity;
  #cares = false;

  /** One was typed, at this time in milliseconds. Whether it is the one too many. */
  typed(now: number): boolean {
    const goesOn = now - this.#last <= SOON_MS && !this.#cares;
    this.#count = goesOn ? this.#count + 1 : 1;
    this.#last = now;
    this.#cares = false;
    return this.#count >= ENOUGH;
  }

  /** The command printed something. */
  printed(bytes: Uint8Array): void {
    if (this.#count > 0 && !this.#cares) this.#cares = bytes.some((byte) => !ECHO.has(byte));
  }
}

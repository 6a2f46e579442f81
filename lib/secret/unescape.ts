/**
 * Undoes the escapes of URLs (`%61`), JSON and JavaScript (`\u0061`, `\x61`, `\/`), and HTML (`&#97;`,
 * `&#x61;`) in one pass, byte by byte. For looking, not for reading: it knows no grammar around them.
 *
 * @module
 */

const PERCENT = 0x25;
const AMPERSAND = 0x26;
const HASH = 0x23;
const SEMICOLON = 0x3b;
const BACKSLASH = 0x5c;
const U = 0x75;
const X = 0x78;

/** Stands for every character beyond ASCII; no placeholder has it. */
const OTHER = 0xff;

/** `&#x` and digits, leading zeros included; what is longer is no escape. */
const MOST = 12;

export function beginsEscape(byte: number): boolean {
  return byte === PERCENT || byte === BACKSLASH || byte === AMPERSAND;
}

/** Within an escape: what may come next. */
type Awaited =
  | "digits" // so many more hexadecimal ones
  | "letter" // the one that says which escape a backslash begins
  | "hash" // that makes a number of an ampersand
  | "number" // its first digit, or the x before it
  | "first" // its first digit
  | "more"; // another digit, or its end

export class Unescaper {
  /** What the last {@link push} gave, from the beginning on. */
  readonly out = new Uint8Array(MOST + 1);
  #given = 0;
  /** What was read of an escape. None of it but the first byte can begin another. */
  readonly #held = new Uint8Array(MOST);
  #size = 0;
  #awaited: Awaited = "digits";
  #left = 0;
  #base = 16;
  #code = 0;

  /** Nothing is held back. */
  get idle(): boolean {
    return this.#size === 0;
  }

  /** Answers how many bytes of {@link out} it gave. */
  push(byte: number): number {
    this.#given = 0;
    this.#read(byte);
    return this.#given;
  }

  #read(byte: number): void {
    if (this.#size > 0) this.#readOn(byte);
    else if (beginsEscape(byte)) this.#begin(byte);
    else this.#give(byte);
  }

  #begin(byte: number): void {
    this.#code = 0;
    this.#base = 16;
    if (byte === PERCENT) this.#await("digits", byte, 2);
    else this.#await(byte === BACKSLASH ? "letter" : "hash", byte);
  }

  #readOn(byte: number): void {
    const digit = digitOf(byte);
    switch (this.#awaited) {
      case "digits":
        if (digit >= 16) return this.#fail(byte);
        this.#code = this.#code * 16 + digit;
        return this.#left === 1 ? this.#end() : this.#await("digits", byte, this.#left - 1);
      case "letter":
        if (byte === U || byte === X) return this.#await("digits", byte, byte === U ? 4 : 2);
        this.#code = isLineEnd(byte) ? 0x0a : byte;
        return this.#end();
      case "hash":
        return byte === HASH ? this.#await("number", byte) : this.#fail(byte);
      case "number":
        if ((byte | 0x20) === X) return this.#await("first", byte);
        this.#base = 10;
        return this.#number(digit, byte);
      case "first":
        return this.#number(digit, byte);
      case "more":
        if (digit < this.#base) return this.#number(digit, byte);
        this.#end();
        // HTML does without the semicolon.
        return byte === SEMICOLON ? undefined : this.#read(byte);
    }
  }

  #number(digit: number, byte: number): void {
    if (digit >= this.#base || this.#size === MOST) return this.#fail(byte);
    this.#code = this.#code * this.#base + digit;
    this.#await("more", byte);
  }

  #await(what: Awaited, byte: number, left = 0): void {
    this.#awaited = what;
    this.#left = left;
    this.#held[this.#size++] = byte;
  }

  #end(): void {
    this.#size = 0;
    this.#give(this.#code < 0x80 ? this.#code : OTHER);
  }

  /** It was no escape, and this byte may begin one. */
  #fail(byte: number): void {
    for (let at = 0; at < this.#size; at++) this.#give(this.#held[at] ?? 0);
    this.#size = 0;
    this.#read(byte);
  }

  #give(byte: number): void {
    this.out[this.#given++] = byte;
  }
}

/** `\n`, `\r` and `\t`. */
function isLineEnd(byte: number): boolean {
  return byte === 0x6e || byte === 0x72 || byte === 0x74;
}

function digitOf(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const letter = byte | 0x20;
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x61 + 10 : 99;
}

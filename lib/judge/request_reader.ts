/**
 * Finds what any HTTP server could take for a request in the first bytes of a flow, however they are
 * cut. Pure; the twin of `vendor/netstack/internal/flight/request.go`, and
 * `test/vectors/first_flights.json` holds the two together.
 *
 * Servers differ in what they forgive, and whoever forgives most decides what has to be judged.
 *
 * ```
 * blanks ──► line ──► head              a version: wait for the end of the fields
 *              ├────► watch             no version: nothing names a host until a Host field comes
 *              ├────► joined            it ended without CR, and some servers read on
 *              └────► whole | opaque
 * ```
 *
 * @module
 */

/**
 * What the bytes are to a server that looks for a request. The last two hold for whatever follows.
 *
 * - `partial`: a request that has begun; no server can act on it yet.
 * - `open`: no client begins so, and no server can act on it yet; what follows may still make it
 *   something that a lenient server reads as a request.
 * - `whole`: all there is to learn of a host, or something that is not to be trusted with one.
 * - `opaque`: no HTTP server reads this.
 */
export type RequestState = "partial" | "open" | "whole" | "opaque";

type Phase = "blanks" | "line" | "joined" | "head" | "watch";

const TAB = 9;
const LF = 10;
const CR = 13;
const SPACE = 32;
const SLASH = 47;
const COLON = 58;

const VERSION = "HTTP/";
const HOST = "HOST";
const SCHEME_END = "://";
/** Of these, so many begin a path. */
const ROOT = 2;
const ESCAPED_SLASH = "%2F";
const NONE = -1;

export class RequestReader {
  #state: RequestState = "partial";
  #phase: Phase = "blanks";
  /** A byte came that no client would send. */
  #open = false;
  readonly #spaced = new Words();
  readonly #broad = new Words();
  /** Likewise behind a space: for Java's server what came before it is the first word, if that has no byte. */
  #behind: Words | null = null;
  readonly #version = new VersionPrefix();
  #last = 0;
  /** A carriage return came that ends a line with a line feed, for Java's server too: it takes two for text. */
  #ends = false;
  #length = 0;
  /** The line so far. */
  #empty = true;
  readonly #host = new HostField("line");

  get state(): RequestState {
    return this.#state;
  }

  /** Takes the next bytes. A state that is whole or opaque stays. */
  push(bytes: Uint8Array): RequestState {
    for (const byte of bytes) {
      if (this.#state === "whole" || this.#state === "opaque") break;
      this.#state = this.#step(byte);
    }
    return this.#state;
  }

  #step(byte: number): RequestState {
    switch (this.#phase) {
      case "blanks":
        // Servers skip empty lines, and some any blank.
        if (byte === SPACE) this.#behind ??= new Words(1);
        if (byte === SPACE || (byte >= TAB && byte <= CR)) return "partial";
        this.#phase = "line";
        return this.#line(byte);
      case "line":
        return this.#line(byte);
      case "joined":
        return this.#joined(byte);
      case "head":
        return this.#head(byte);
      case "watch":
        return this.#watch(byte);
    }
  }

  #line(byte: number): RequestState {
    if (byte === LF) return this.#lineEnd();
    this.#split(byte);
    const inMethod = this.#broad.count === 1 && !isBlank(byte);
    if ((inMethod && !isTokenByte(byte)) || isControl(byte)) this.#open = true;
    return this.#open ? "open" : "partial";
  }

  #split(byte: number): void {
    this.#spaced.step(byte, byte === SPACE);
    this.#broad.step(byte, isBlank(byte));
    this.#behind?.step(byte, byte === SPACE);
    this.#version.step(byte);
    this.#last = byte;
    this.#ends = byte === CR && !this.#ends;
    this.#length++;
  }

  #lineEnd(): RequestState {
    this.#empty = true;
    const [spaced, broad, behind] = [this.#spaced, this.#broad, this.#behind];
    if (broad.count >= 2 && this.#version.isWhole) {
      if (this.#open) return "whole";
      this.#phase = "head";
      return "partial";
    }
    if (spaced.names || broad.names || this.#isProxyHeader) return "whole";
    if (spaced.mayBeRequest || broad.mayBeRequest || behind?.path === true) this.#phase = "watch";
    else if (this.#ends || spaced.count > 2) return "opaque";
    else {
      this.#phase = "joined";
      this.#split(LF);
    }
    this.#open = true;
    return "open";
  }

  /** The binary header by which a proxy tells where a connection comes from has such a line. */
  get #isProxyHeader(): boolean {
    return this.#length === 2 && this.#last === CR && this.#spaced.first === "\0\r";
  }

  /** Reads on as servers do whose lines end with CRLF alone, and that want three words. */
  #joined(byte: number): RequestState {
    if (byte === LF && this.#ends) return "opaque";
    this.#split(byte);
    const [spaced, behind] = [this.#spaced, this.#behind];
    if (spaced.hasTarget || behind?.hasTarget === true) return "whole";
    return spaced.isSettled ? "opaque" : "open"; // and so is what is behind, a word before it
  }

  /** Waits for the line that has nothing but a CR. */
  #head(byte: number): RequestState {
    if (byte !== LF) {
      this.#empty &&= byte === CR;
      return "partial";
    }
    if (this.#empty) return "whole";
    this.#empty = true;
    return "partial";
  }

  /**
   * Waits for a field named Host, wherever a line may begin for somebody, or for the end of the head, which Java's
   * server finds behind bare carriage returns as well: what follows that could be another request.
   */
  #watch(byte: number): RequestState {
    const last = this.#last;
    this.#last = byte;
    if (byte === LF && this.#empty) return "whole";
    if (byte === CR && (this.#empty || last === CR)) return "whole";
    const seen = this.#host.step(byte);
    if (seen === "named") return "whole";
    if (seen === "other") this.#empty = false;
    else if (byte === LF) this.#empty = true;
    return "open";
  }
}

/** Finds a field named Host, wherever a line may begin for somebody. */
export class HostField {
  /** Bytes of "host" that the line begins with. */
  #at: number;

  /** Whether it begins where a line does, or inside of one. */
  constructor(where: "line" | "inside") {
    this.#at = where === "line" ? 0 : NONE;
  }

  /** What the byte is to the line: the colon behind the name, a blank, the end, or something else. */
  step(byte: number): "named" | "blank" | "end" | "other" {
    if (byte === COLON && this.#at === HOST.length) return "named";
    if ((byte >= LF && byte <= CR) || (byte >= 0x1c && byte <= 0x1f) || byte === 0x85) {
      this.#at = 0;
      return "end";
    }
    if (byte <= SPACE) {
      if (this.#at !== 0 && this.#at !== HOST.length) this.#at = NONE;
      return "blank";
    }
    const matches = this.#at !== NONE && upper(byte) === HOST.charCodeAt(this.#at);
    this.#at = matches ? this.#at + 1 : NONE;
    return "other";
  }
}

/** Finds "HTTP/", whatever its letters' case. It repeats no part of itself. */
export class VersionPrefix {
  #at = 0;

  get isBegun(): boolean {
    return this.#at > 0;
  }

  get isWhole(): boolean {
    return this.#at === VERSION.length;
  }

  step(byte: number): void {
    if (this.isWhole) return;
    const letter = upper(byte);
    if (letter === VERSION.charCodeAt(this.#at)) this.#at++;
    else this.#at = letter === VERSION.charCodeAt(0) ? 1 : 0;
  }
}

/** A line split at blanks, as far as it tells a request. */
class Words {
  count: number;
  inside = false;
  /** The beginning of the first word, in capitals. */
  first = "";
  /** The second begins as a path, or as what Java's server takes for one: `a:/x`, `%2fx`. */
  path = false;
  /** The second is a URL with an authority. */
  absolute = false;
  #at = 0;
  /** The first has small letters. */
  #small = false;
  /** Bytes of "://" behind letters in the second. */
  #scheme = 0;
  /** Bytes of "%2F" that the second begins with. */
  #escape = 0;

  /** Begins behind so many words. */
  constructor(count = 0) {
    this.count = count;
  }

  step(byte: number, blank: boolean): void {
    if (blank) {
      this.inside = false;
      return;
    }
    if (!this.inside) {
      this.inside = true;
      this.#at = 0;
      this.count++;
    }
    if (this.count === 1) {
      this.#small ||= byte >= 97 && byte <= 122;
      if (this.#at < 8) this.first += String.fromCharCode(upper(byte));
    } else if (this.count === 2) {
      const isNext = upper(byte) === ESCAPED_SLASH.charCodeAt(this.#at);
      if (isNext && this.#escape === this.#at) this.#escape++;
      if (this.#at === 0 && (byte === SLASH || byte === 42)) this.path = true;
      this.#follow(byte);
      if (this.#escape === ESCAPED_SLASH.length || this.#scheme === ROOT) this.path = true;
    }
    this.#at++;
  }

  #follow(byte: number): void {
    if (this.#scheme === NONE || this.absolute) return;
    if (this.#scheme === 0 && isSchemeByte(byte, this.#at)) return;
    const matches = this.#at > 0 && byte === SCHEME_END.charCodeAt(this.#scheme);
    this.#scheme = matches ? this.#scheme + 1 : NONE;
    this.absolute = this.#scheme === SCHEME_END.length;
  }

  /** The line leads to a host by itself: a URL, a tunnel, the header of a proxy. */
  get names(): boolean {
    return this.absolute ||
      (this.count >= 2 && (this.first === "CONNECT" || this.first === "PROXY"));
  }

  /** The second has come to its end. */
  get isSettled(): boolean {
    return this.count > 2 || (this.count === 2 && !this.inside);
  }

  /** It has, and a server looks there for what it is asked for. */
  get hasTarget(): boolean {
    return this.isSettled && (this.path || this.absolute);
  }

  /** Some server answers it though it has no version. */
  get mayBeRequest(): boolean {
    return this.path || (this.count === 2 && !this.#small);
  }
}

function upper(byte: number): number {
  return byte >= 97 && byte <= 122 ? byte - 32 : byte;
}

function isLetter(byte: number): boolean {
  return upper(byte) >= 65 && upper(byte) <= 90;
}

function isDigit(byte: number): boolean {
  return byte >= 48 && byte <= 57;
}

function isSchemeByte(byte: number, at: number): boolean {
  return isLetter(byte) || (at > 0 && (isDigit(byte) || byte === 43 || byte === 45 || byte === 46));
}

function isControl(byte: number): boolean {
  return (byte < SPACE && byte !== TAB && byte !== CR) || byte === 0x7f;
}

/** What some server splits a line at. */
export function isBlank(byte: number): boolean {
  return byte === SPACE || byte === TAB || (byte >= 11 && byte <= CR) ||
    (byte >= 0x1c && byte <= 0x1f) || byte === 0x85 || byte === 0xa0;
}

/** tchar of RFC 9110 5.6.2. */
export function isTokenByte(byte: number): boolean {
  return isLetter(byte) || isDigit(byte) || "!#$%&'*+-.^_`|~".includes(String.fromCharCode(byte));
}

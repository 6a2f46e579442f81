/**
 * The value of a secret, checked, and kept from being printed by accident.
 *
 * @module
 */

import { Buffer } from "node:buffer";
import { inspect } from "node:util";
import { SbxError } from "../base/errors.ts";

/**
 * Longer values fit no request: servers take heads of 8 to 64 KiB. A guest decides how often a value
 * stands in what is sent, so this also bounds what a buffer of placeholders can become.
 */
export const MAX_VALUE = 16_384;

// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;

/** In a path these are no segment but a step (RFC 3986 5.2.4), however they are encoded. */
const DOTS = /^\.{1,2}$/;

export class SecretValue {
  /** Private to the engine: not in JSON, not in what `console.log` or a debugger's inspect prints. */
  readonly #text: string;

  readonly #bytes: string;

  private constructor(text: string) {
    this.#text = text;
    this.#bytes = Buffer.from(text, "utf8").toString("latin1");
  }

  /**
   * A value that can be sent: no control bytes, which would end a field or a line of it, and text that
   * has an encoding. The end of the line that files and commands finish with is the reader's to drop.
   *
   * @throws SbxError SECRET_INVALID, which names the secret and never the value
   */
  static of(name: string, text: string): SecretValue {
    const state = faultOf(text);
    if (state === null) return new SecretValue(text);
    throw new SbxError("SECRET_INVALID", `Cannot use secret ${name}: ${state}`, {
      hint: "give it one line of text, as it is sent to the server",
    });
  }

  /** The value. Whoever calls this has a grant, or looks for the value in order to mask it. */
  reveal(): string {
    return this.#text;
  }

  /** The same as it is sent, one character a byte. */
  revealBytes(): string {
    return this.#bytes;
  }

  toJSON(): string {
    return "[secret]";
  }

  toString(): string {
    return "[secret]";
  }

  [inspect.custom](): string {
    return "[secret]";
  }
}

function faultOf(text: string): string | null {
  if (text === "") return "its value is empty";
  if (Buffer.byteLength(text) > MAX_VALUE) return `its value is longer than ${MAX_VALUE} bytes`;
  if (/[\r\n]/.test(text)) return "its value has more than one line";
  if (CONTROL.test(text)) return "its value has control characters in it";
  if (/^[ \t]|[ \t]$/.test(text)) return "its value begins or ends with a blank";
  if (DOTS.test(text)) return "its value is a dot or two";
  if (!text.isWellFormed()) return "its value is no text";
  return null;
}

/**
 * How a text looks where it stands inside something that was encoded as a whole.
 *
 * @module
 */

import { Buffer } from "node:buffer";

/** How many bytes, modulo 3, stand before the text in what was encoded. */
export type Offset = 0 | 1 | 2;

export const OFFSETS: readonly Offset[] = [0, 1, 2];

/**
 * The characters of base64 that depend on these bytes alone, whatever stands around them. Up to one
 * character at either end has bits of neighbours, and is left out.
 */
export function base64Inside(bytes: Uint8Array, offset: Offset): string {
  const whole = Buffer.concat([Buffer.alloc(offset), bytes]).toString("base64");
  return whole.slice(Math.ceil(offset * 8 / 6), Math.floor((offset + bytes.length) * 8 / 6));
}

/** The alphabet of RFC 4648 5, without padding. */
export function toBase64Url(base64: string): string {
  return base64.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Everything but the unreserved characters of RFC 3986 2.3 as `%XX`. */
export function percentEncode(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) {
    const character = String.fromCharCode(byte);
    text += UNRESERVED.test(character)
      ? character
      : "%" + byte.toString(16).toUpperCase().padStart(2, "0");
  }
  return text;
}

const UNRESERVED = /^[A-Za-z0-9._~-]$/;

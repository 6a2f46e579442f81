/**
 * The alphabet in which the tripwire reads: one case, one alphabet of base64, and nothing of what lines
 * and names are cut with.
 *
 * @module
 */

import { SAME } from "./automaton.ts";
import { beginsEscape } from "./unescape.ts";

/** A class for each byte. */
type Class = number;

const KNOWN = "abcdefghijklmnopqrstuvwxyz0123456789+/";

/** Of those that placeholders are written with, in any disguise. */
export const LETTERS: readonly Class[] = Array.from(KNOWN, (_, at) => at + 1);

/** In no placeholder. */
const REST = KNOWN.length + 1;
/** In no placeholder, and in escapes. */
const SIGN = REST + 1;
/** Of bytes that begin an escape. */
export const ESCAPE: Class = SIGN + 1;

export const CLASS_COUNT = ESCAPE + 1;

export const CLASSES: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  if (byte <= 0x20 || byte === 0x2e) return SAME;
  if (beginsEscape(byte)) return ESCAPE;
  const character = String.fromCharCode(byte).replace("-", "+").replace("_", "/").toLowerCase();
  if (character === "#" || character === ";") return SIGN;
  const at = KNOWN.indexOf(character);
  return at < 0 ? REST : at + 1;
});

/** Of all that an escape has behind its first byte, save for a character that a backslash stands before. */
export const IN_ESCAPES: readonly Class[] = classesOf("0123456789abcdef#;uxnrt");

/** With the last byte of each class for all of it, as {@link Automaton.table} takes them. */
export function folded(text: string): string {
  return text.toLowerCase().replaceAll("+", "-").replaceAll("/", "_");
}

/** One character a byte. */
export function classesOf(text: string): Class[] {
  return Array.from(text, (one) => CLASSES[one.charCodeAt(0)] ?? SAME);
}

/**
 * Guest-supplied text made safe to show: no control bytes, no terminal sequences, no bidirectional
 * tricks, no megabytes.
 *
 * @module
 */

/** More is cut; the cut is visible. */
export const MAX_SHOWN = 255;

/**
 * Controls (C0, DEL, C1), formats (bidirectional controls, zero-width characters, tags, which spell
 * ASCII that nobody sees), lone surrogates, line and paragraph separators.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;

/** The text with unsafe characters as `\u{…}`, cut to {@link MAX_SHOWN} characters. */
export function escapeText(text: string): string {
  const cut = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
  return cut.replace(UNSAFE, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`);
}

/**
 * Guest-supplied text made safe to show: no control bytes, no terminal sequences, no bidirectional
 * tricks, no megabytes.
 *
 * @module
 */

/** More is cut; the cut is visible. */
export const MAX_SHOWN = 255;

/** C0, DEL, C1, line separators, bidirectional controls, zero-width and invisible characters. */
const UNSAFE =
  // deno-lint-ignore no-control-regex
  /[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\ud800-\udfff]/gu;

/** The text with unsafe characters as `\u{…}`, cut to {@link MAX_SHOWN} characters. */
export function escapeText(text: string): string {
  const cut = text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
  return cut.replace(UNSAFE, (char) => `\\u{${char.codePointAt(0)?.toString(16)}}`);
}

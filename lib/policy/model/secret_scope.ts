/**
 * What a declaration of a secret may say, and what a request is held to: paths, fields, forms of
 * placeholders.
 *
 * @module
 */

/** Whether every server reads the path in the same way. */
export function isPlainPath(path: string): boolean {
  return path.startsWith("/") && !AMBIGUOUS.test(path);
}

/**
 * What servers read in different ways: steps `.` and `..`, with or without parameters; separators,
 * dots and percent signs in escapes, over-long ones included; backslashes; bytes that end a text somewhere.
 */
// deno-lint-ignore no-control-regex
const AMBIGUOUS = /(?:^|\/)\.\.?(?:[/;]|$)|%(?:2[ef5]|5c|00|c[01])|[\\\x00-\x20\x7f]/i;

/** What says where a request goes and where it ends is no place for a value. */
const NEVER: ReadonlySet<string> = new Set([
  "host",
  "content-length",
  "content-encoding",
  "transfer-encoding",
  "connection",
  "proxy-connection",
  "keep-alive",
  "te",
  "trailer",
  "upgrade",
  "http2-settings",
  "expect",
]);

/** Whether a selection may name the field; by its key. */
export function mayHoldValue(key: string): boolean {
  return !NEVER.has(key) && !key.startsWith(":");
}

const FORMAT = /^[A-Za-z0-9._~-]*\*[A-Za-z0-9._~-]*$/;

/** Whether a text is a format: one star, and what may stand in a placeholder. */
export function isFormat(text: string): boolean {
  return FORMAT.test(text);
}

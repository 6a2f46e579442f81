/**
 * What a declaration of a secret may say, and what a request is held to: paths, fields, forms of
 * placeholders.
 *
 * @module
 */

/** Whether every server reads the path in the same way. */
export function isPlainPath(path: string): boolean {
  return path.startsWith("/") && !STEP.test(path) && !DISGUISE.test(path);
}

/**
 * What servers read in different ways: steps `.` and `..`, with or without parameters or what is taken
 * off a name's end; separators, dots and percent signs in escapes; backslashes; bytes that no path has.
 */
const STEP = /(?:^|\/)\.\.?(?:[/;%]|$)|%(?:2[ef5]|5c|00)|\\|[^\x21-\x7e]/i;

/**
 * Escapes that some server makes a dot or a separator of: over-long UTF-8, the `%u002e` of IIS, and characters
 * that Unicode's compatibility or a code page's best fit takes for one (U+2024, U+2025, U+2044, U+2215, and
 * the full-width U+FF0E, U+FF0F, U+FF3C).
 */
const DISGUISE = /%(?:c[01]|e0%[89]|f0%8|u|e2%80%a[45]|e2%81%84|e2%88%95|ef%bc%8[ef]|ef%bc%bc)/i;

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

/**
 * A word as a shell reads it: as it is where nothing in it means anything, else in quotes.
 *
 * @module
 */

export function shellWord(text: string): string {
  return /^[\w@+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

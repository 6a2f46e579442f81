/**
 * Text of others made safe to show: no control bytes, no terminal sequences, no bidirectional tricks,
 * nothing that nobody sees, no megabytes. Whatever a guest, a server, a file or an argument supplied
 * passes through here before it stands in a message, a hint, a notice or a line of the journal.
 *
 * @module
 */

/** More of one text is cut; the cut is visible. */
export const MAX_SHOWN = 255;

/** More of a text that stands in quotation marks: a word, a rule, a name. */
const MAX_QUOTED = 80;

/** More of a whole message. Its parts are bounded already where they are put in. */
export const MAX_MESSAGE = 4096;

/**
 * What no reader can see or tell from something else: everything in Unicode's category C (controls,
 * formats such as those of bidirectional text, lone surrogates, private use, unassigned), line and
 * paragraph separators, blanks other than the space, and what is to be ignored by default (fillers,
 * joiners, variation selectors, tags, which spell ASCII). U+2800 is a braille cell without dots.
 */
const UNSAFE = /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]|(?! )\p{Zs}/gu;

/** Printable ASCII, which most texts are. */
const PLAIN = /^[\x20-\x7e]*$/;

/** The text with unsafe characters as `\u{…}`, cut to {@link MAX_SHOWN} characters. */
export function escapeText(text: string): string {
  return escapeUpTo(MAX_SHOWN, text);
}

function escapeUpTo(max: number, text: string): string {
  const cut = text.length > max ? `${text.slice(0, max)}…` : text;
  return PLAIN.test(cut) ? cut : cut.replace(UNSAFE, spelt);
}

/** A line of a text that is read for what it says: none of it is cut, and tabs stay. */
export function escapeLine(line: string): string {
  return PLAIN.test(line)
    ? line
    : line.replace(UNSAFE, (character) => character === "\t" ? character : spelt(character));
}

/** The text in quotation marks, with those inside it and backslashes escaped as well. */
export function quote(text: string): string {
  const cut = text.length > MAX_QUOTED ? `${text.slice(0, MAX_QUOTED)}…` : text;
  return `"${escapeText(cut.replace(/["\\]/g, "\\$&"))}"`;
}

/** A whole line, parts of which were escaped before and stay as they are. */
export function escapeMessage(text: string): string {
  const escaped = escapeUpTo(MAX_MESSAGE, text);
  return escaped.length > MAX_MESSAGE + 1 ? `${escaped.slice(0, MAX_MESSAGE)}…` : escaped;
}

/** A text in JSON, unchanged in meaning: only strings hold such characters. */
export function escapeJson(json: string): string {
  return PLAIN.test(json)
    ? json
    : json.replace(UNSAFE, (character) =>
      character === "\n" ? character : character.split("").map(unit).join(""));
}

/** Whether a text of several lines has nothing to escape. */
export function isShowable(text: string): boolean {
  return !text.replaceAll("\n", "").match(UNSAFE);
}

function spelt(character: string): string {
  return `\\u{${character.codePointAt(0)?.toString(16)}}`;
}

function unit(half: string): string {
  return `\\u${half.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

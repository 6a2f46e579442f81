/**
 * Placeholders in a text that is there as a whole. What is put in their place is never read again.
 *
 * @module
 */

import type { Placeholder } from "./placeholder.ts";

/** One character a byte; placeholders and escapes are ASCII. */
type Text = string;

/** The text that comes in place of the placeholder with this index; null: it stays. */
export type Replacement = (index: number) => Text | null;

/** Whether one of them stands in the text as it is. Makes nothing, since it is asked of every field. */
export function holdsPlaceholder(text: Text, placeholders: readonly Placeholder[]): boolean {
  for (const one of placeholders) if (text.includes(one.text)) return true;
  return false;
}

/** Replaces placeholders from left to right. None is inside another, so it is clear which stands where. */
export function replacePlaceholders(
  text: Text,
  placeholders: readonly Placeholder[],
  by: Replacement,
): Text {
  return replace(text, text, (at) => at, placeholders, by);
}

/** The same where any character of a placeholder may be percent-encoded. Once: `%2561` is not `a`. */
export function replacePercentEncoded(
  text: Text,
  placeholders: readonly Placeholder[],
  by: Replacement,
): Text {
  if (!text.includes("%")) return replacePlaceholders(text, placeholders, by);
  const { decoded, starts } = decodePercent(text);
  return replace(text, decoded, (at) => starts[at] ?? text.length, placeholders, by);
}

/** `origin`: where in `text` a character of `read` begins. */
function replace(
  text: Text,
  read: Text,
  origin: (at: number) => number,
  placeholders: readonly Placeholder[],
  by: Replacement,
): Text {
  const next = placeholders.map((one) => read.indexOf(one.text));
  let out = "";
  let copied = 0;
  for (let from = 0;;) {
    const index = first(next, placeholders, read, from);
    if (index === null) return copied === 0 ? text : out + text.slice(copied);
    const at = next[index] ?? 0;
    from = at + (placeholders[index]?.text.length ?? 0);
    const value = by(index);
    if (value === null) continue;
    out += text.slice(copied, origin(at)) + value;
    copied = origin(from);
  }
}

/** The placeholder that comes first from `from` on. Each searches on only from where it was found last. */
function first(
  next: number[],
  placeholders: readonly Placeholder[],
  read: Text,
  from: number,
): number | null {
  let least: number | null = null;
  for (const [index, { text }] of placeholders.entries()) {
    let at = next[index] ?? -1;
    if (at >= 0 && at < from) at = next[index] = read.indexOf(text, from);
    if (at >= 0 && (least === null || at < (next[least] ?? 0))) least = index;
  }
  return least;
}

function decodePercent(text: Text): { readonly decoded: Text; readonly starts: readonly number[] } {
  const starts: number[] = [];
  let decoded = "";
  for (let at = 0; at < text.length;) {
    starts.push(at);
    const hex = text[at] === "%" ? text.slice(at + 1, at + 3) : "";
    const encoded = /^[0-9A-Fa-f]{2}$/.test(hex);
    decoded += encoded ? String.fromCharCode(parseInt(hex, 16)) : text[at];
    at += encoded ? 3 : 1;
  }
  return { decoded, starts };
}

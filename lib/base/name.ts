/**
 * Host names as values: lower-case A-labels without a trailing dot. Everything that compares names
 * compares these.
 *
 * @module
 */
import { domainToASCII } from "node:url";
import { parseAddress } from "./address.ts";

/** RFC 1035 2.3.4, without the root's length byte. */
const MAX_NAME = 253;

/** Underscores occur in service names (RFC 2782); hyphens not at a label's ends (RFC 952). */
const LABEL = /^(?!-)[a-z0-9_-]{1,63}(?<!-)$/;

/**
 * The canonical form, or null when the text is no host name: wrong characters or lengths, empty
 * labels, an address in any spelling, or a last label that is a number (WHATWG URL reads
 * `1.2.3` and `0x7f.1` as addresses).
 */
export function canonicalName(text: string): string | null {
  if (text.length === 0 || text.length > 1_024) return null;
  const dotless = text.endsWith(".") ? text.slice(0, -1) : text;
  const ascii = /^[\x21-\x7e]+$/.test(dotless) ? dotless.toLowerCase() : toALabels(dotless);
  if (ascii === null || ascii.length > MAX_NAME) return null;
  const labels = ascii.split(".");
  if (!labels.every((label) => LABEL.test(label))) return null;
  const last = labels.at(-1) ?? "";
  if (/^(?:\d+|0x[0-9a-f]*)$/.test(last) || parseAddress(ascii) !== null) return null;
  return ascii;
}

/**
 * UTS 46 maps some characters away silently (soft hyphen, zero-width joiners), which would let two
 * different texts be one name; such text is refused. So are characters that fold into ASCII (the
 * Kelvin sign), because the user sees another name than the one that is matched.
 */
function toALabels(text: string): string | null {
  // deno-lint-ignore no-control-regex
  if (/[\u00ad\u034f\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff]/.test(text)) return null;
  const ascii = domainToASCII(text);
  if (ascii === "") return null;
  const labels = text.split(/[.\u3002\uff0e\uff61]/);
  const mapped = ascii.split(".");
  const foldsToAscii = labels.some((label, index) =>
    // deno-lint-ignore no-control-regex
    /[^\x00-\x7f]/.test(label) && !(mapped[index] ?? "").startsWith("xn--")
  );
  return labels.length === mapped.length && !foldsToAscii ? ascii : null;
}

/**
 * The canonical suffix of `x.y`, `.x.y` or `*.x.y`, without the leading dot; null when it is empty,
 * malformed or a single label, which would cover a whole top-level domain.
 */
export function canonicalSuffix(text: string): string | null {
  const name = canonicalName(text.replace(/^\*?\./, ""));
  return name !== null && name.includes(".") ? name : null;
}

/** Whether a canonical name is the suffix itself or lies below it, on a label boundary. */
export function nameHasSuffix(name: string, suffix: string): boolean {
  return name.endsWith(suffix) &&
    (name.length === suffix.length || name[name.length - suffix.length - 1] === ".");
}

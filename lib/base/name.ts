/**
 * DNS names in one canonical spelling: lower-case A-labels, no root dot.
 *
 * Names a person wrote go through IDNA; names off the wire never do, because folding there turns
 * bytes that a resolver or server reads as one name into another (U+212A KELVIN SIGN becomes `k`).
 *
 * @module
 */

import { domainToASCII } from "node:url";

/** RFC 1035 §2.3.4, without the root dot. */
const MAX_NAME = 253;

/**
 * One label. Wider than a host name (RFC 1123): underscores and outer hyphens exist in deployed
 * zones, and a name that could not be judged would slip past a rule that denies its suffix.
 */
const SHAPE = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/;

/** What URL parsers and C libraries take for an IPv4 address: the last label is a number. */
// deno-lint-ignore sbx/linear-pattern -- only names are asked, which have 253 characters at most
const ENDS_IN_NUMBER = /(?:^|\.)(?:[0-9]+|0x[0-9a-f]*)$/;

// deno-lint-ignore no-control-regex
const ASCII = /^[\x00-\x7f]*$/;

/** Characters that UTS 46 maps to nothing: two texts that look alike would be two spellings. */
const INVISIBLE = /[\u00ad\u034f\u180b-\u180f\u200b-\u200f\u2060-\u2064\ufe00-\ufe0f\ufeff]/;

/** What domainToASCII, which parses like a URL's host, would cut the text at or percent-decode. */
// deno-lint-ignore no-control-regex
const NOT_IN_NAME = /[\x00-\x2c\x2f\x3a-\x40\x5b-\x5e\x60\x7b-\x7f]/;

/**
 * The canonical form of a name that a person wrote, or null when it is none: an empty, overlong or
 * malformed name, a pattern, a URL, anything that could be taken for an IP address, and Unicode that
 * IDNA would turn into a plain ASCII label other than the one that was written.
 */
export function canonicalName(text: string): string | null {
  if (ASCII.test(text)) return nameFromWire(text);
  if (text.length > MAX_NAME || INVISIBLE.test(text) || NOT_IN_NAME.test(text)) return null;
  const labels = text.split(/[.\u3002\uff0e\uff61]/);
  const mapped = domainToASCII(text).split(".");
  if (labels.length !== mapped.length) return null;
  const faithful = labels.every((label, index) =>
    ASCII.test(label) || mapped[index]?.startsWith("xn--") === true
  );
  return faithful ? nameFromWire(mapped.join(".")) : null;
}

/** The canonical form of a name read from a packet: ASCII only, no IDNA. Null as above. */
export function nameFromWire(text: string): string | null {
  if (text.length > MAX_NAME + 1 || !ASCII.test(text)) return null;
  const lower = text.toLowerCase();
  const name = lower.endsWith(".") ? lower.slice(0, -1) : lower;
  if (name.length > MAX_NAME || !SHAPE.test(name) || ENDS_IN_NUMBER.test(name)) return null;
  return name;
}

/**
 * The suffix behind `example.com`, `.example.com` or `*.example.com`, in canonical form without a
 * leading dot; all three mean the same. Null when invalid, empty or a single label, which would
 * take in a whole top-level domain.
 */
export function canonicalSuffix(text: string): string | null {
  const bare = text.startsWith("*.") ? text.slice(2) : text.startsWith(".") ? text.slice(1) : text;
  const suffix = canonicalName(bare);
  return suffix !== null && suffix.includes(".") ? suffix : null;
}

/** Whether the name is the suffix or lies below it, on a label boundary. Both canonical. */
export function nameHasSuffix(name: string, suffix: string): boolean {
  if (!name.endsWith(suffix)) return false;
  return name.length === suffix.length || name[name.length - suffix.length - 1] === ".";
}

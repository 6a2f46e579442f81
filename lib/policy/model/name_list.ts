/**
 * Lists of names in files: one name a line, or the format of `/etc/hosts`.
 *
 *     # comment
 *     ads.example.com                one name
 *     .tracker.example               a suffix, in any list: the name and everything below it
 *     0.0.0.0 ads.example.net …      hosts format: the address is ignored, each name counts
 *
 * A line that cannot be read is an error: a list that silently lost lines would block less than its
 * author believes.
 *
 * @module
 */

import { isIP } from "node:net";
import { SbxError } from "../../base/errors.ts";
import { escapeText, quote } from "../../base/escape.ts";
import { canonicalName, canonicalSuffix } from "../../base/name.ts";
import type { NameSet } from "./name_set.ts";

/** What hosts files say about their own machine; nobody means to block these. */
const OWN_NAMES = new Set([
  "localhost",
  "localhost.localdomain",
  "local",
  "broadcasthost",
  "ip6-localhost",
  "ip6-loopback",
  "ip6-localnet",
  "ip6-mcastprefix",
  "ip6-allnodes",
  "ip6-allrouters",
  "ip6-allhosts",
]);

/**
 * Adds every name of a list to `set`: as itself, or, for a list of suffixes, together with all
 * names below it. `path` is only for the error, `SbxError` POLICY_INVALID with the line.
 */
export function readNameList(
  text: string,
  path: string,
  as: "name" | "suffix",
  set: NameSet,
): void {
  const add = (name: string) => as === "name" ? set.addName(name) : set.addSuffix(name);
  let number = 0;
  for (let start = 0; start < text.length;) {
    let end = text.indexOf("\n", start);
    if (end < 0) end = text.length;
    number++;
    const name = plainEntry(text, start, end);
    if (name !== null) add(name);
    else readLine(text.slice(start, end), as, set, (entry) => unreadable(path, number, entry));
    start = end + 1;
  }
}

/** What block lists put before a name, nearly all of them. */
const PREFIX = "0.0.0.0 ";
const OTHER_PREFIX = "127.0.0.1 ";

/**
 * The name of a line that holds nothing else and spells it as `canonicalName` would, as nearly all
 * lines of a long list do; null for every other line, readable or not. This is what reads a list of
 * 100,000 names in a tenth of the time.
 */
function plainEntry(text: string, start: number, end: number): string | null {
  const prefix = text.startsWith(PREFIX, start)
    ? PREFIX.length
    : text.startsWith(OTHER_PREFIX, start)
    ? OTHER_PREFIX.length
    : 0;
  const from = start + prefix;
  const to = text.charCodeAt(end - 1) === CARRIAGE_RETURN ? end - 1 : end;
  if (!isPlainName(text, from, to)) return null;
  const name = text.slice(from, to);
  return prefix > 0 && OWN_NAMES.has(name) ? null : name;
}

const CARRIAGE_RETURN = 0x0d;
const DOT = 0x2e;

/** Two labels at least, and the last is no number, so that it is a suffix and no address as well. */
function isPlainName(text: string, start: number, end: number): boolean {
  if (end - start > 253) return false;
  let label = start;
  for (let at = start; at < end; at++) {
    const code = text.charCodeAt(at);
    if (code === DOT) {
      if (at === label || at - label > 63) return false;
      label = at + 1;
    } else if (!isPlain(code)) return false;
  }
  const first = text.charCodeAt(label);
  return label > start && label < end && end - label <= 63 && !(first >= 0x30 && first <= 0x39);
}

/** a to z, 0 to 9, `-` and `_`. */
function isPlain(code: number): boolean {
  return code >= 0x61 && code <= 0x7a || code >= 0x30 && code <= 0x39 || code === 0x2d ||
    code === 0x5f;
}

function readLine(
  text: string,
  as: "name" | "suffix",
  set: NameSet,
  unreadable: (entry: string) => SbxError,
): void {
  const line = text.replace(/#.*/, "").trim();
  if (line === "" || line.startsWith("!") || line === "\ufeff") return;
  for (const name of namesOf(line)) if (!addEntry(name, as, set)) throw unreadable(name);
}

/** The names on one line; in hosts format without the address and without the machine's own names. */
function namesOf(line: string): readonly string[] {
  if (!/\s/.test(line)) return [line.replace(/^\ufeff/, "")];
  const [first = "", ...names] = line.split(/\s+/);
  if (isIP(first.replace(/%.*/, "")) === 0) return [line];
  return names.filter((name) => !OWN_NAMES.has(name.toLowerCase()) && isIP(name) === 0);
}

function addEntry(text: string, as: "name" | "suffix", set: NameSet): boolean {
  if (as === "name" && !text.startsWith(".") && !text.startsWith("*.")) {
    const name = canonicalName(text);
    if (name !== null) set.addName(name);
    return name !== null;
  }
  const suffix = canonicalSuffix(text);
  if (suffix !== null) set.addSuffix(suffix);
  return suffix !== null;
}

function unreadable(path: string, line: number, text: string): SbxError {
  return new SbxError(
    "POLICY_INVALID",
    `Cannot read name list ${escapeText(path)}:${line}: ${quote(text)} is no domain name`,
    { hint: "write one name a line, or lines of a hosts file" },
  );
}

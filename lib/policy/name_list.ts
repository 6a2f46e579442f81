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
import { SbxError } from "../base/errors.ts";
import { canonicalName, canonicalSuffix } from "../base/name.ts";
import { quote } from "./fault.ts";
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
  let number = 0;
  for (let start = 0; start < text.length;) {
    let end = text.indexOf("\n", start);
    if (end < 0) end = text.length;
    number++;
    const line = text.slice(start, end).replace(/#.*/, "").trim();
    start = end + 1;
    if (line === "" || line.startsWith("!") || line === "\ufeff") continue;
    for (const name of namesOf(line)) {
      if (!addEntry(name, as, set)) throw unreadable(path, number, name);
    }
  }
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
    `Cannot read name list ${path}:${line}: ${quote(text)} is no domain name`,
    { hint: "write one name a line, or lines of a hosts file" },
  );
}

/**
 * A kept authority as the `sbx ca` commands print it.
 *
 * @module
 */
import { escapeMessage, escapeText } from "../base/escape.ts";
import type { KeptAuthority } from "../mod.ts";
import { jsonText } from "./json.ts";
import { table } from "./table.ts";

export function factsText(authority: KeptAuthority): string {
  return table([
    ["subject", escapeText(authority.subject)],
    ["fingerprint", `SHA-256 ${authority.fingerprint}`],
    ["valid", `${date(authority.notBefore)} to ${date(authority.notAfter)}`],
    ["path", escapeMessage(authority.path)],
  ]);
}

export function factsJson(
  { subject, fingerprint, notBefore, notAfter, path }: KeptAuthority,
): string {
  return jsonText({ subject, fingerprint, notBefore, notAfter, path });
}

function date(at: Date): string {
  return at.toISOString().replace(/\.\d+Z$/, "Z");
}

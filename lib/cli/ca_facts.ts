/**
 * A kept authority as the `sbx ca` commands print it.
 *
 * @module
 */
import type { KeptAuthority } from "../mod.ts";
import { table } from "./table.ts";

export function factsText(authority: KeptAuthority): string {
  return table([
    ["subject", authority.subject],
    ["fingerprint", `SHA-256 ${authority.fingerprint}`],
    ["valid", `${date(authority.notBefore)} to ${date(authority.notAfter)}`],
    ["path", authority.path],
  ]);
}

export function factsJson(
  { subject, fingerprint, notBefore, notAfter, path }: KeptAuthority,
): string {
  return JSON.stringify({ subject, fingerprint, notBefore, notAfter, path }, null, 2) + "\n";
}

function date(at: Date): string {
  return at.toISOString().replace(/\.\d+Z$/, "Z");
}

/**
 * Certificates that a guest of Lima's is told to trust, among those of its user's own: which are sbx's is said in
 * themselves, so that those of a former authority go. Pure.
 *
 * @module
 */

/** RFC 7468, 2: what stands before a certificate's boundary is for people. */
const SIGNATURE = "# sbx: who answers for the servers that it intercepts.\n";

/** An entry of Lima's list. `certificate`: in PEM. */
export function trusted(certificate: string): string {
  return SIGNATURE + certificate;
}

/** Whether an entry of Lima's list is one of these. */
export function isTrusted(entry: unknown): boolean {
  return typeof entry === "string" && entry.startsWith(SIGNATURE);
}

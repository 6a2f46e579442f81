/**
 * What this machine trusts.
 *
 * @module
 */
import { readFile } from "node:fs/promises";

/** Where distributions keep the bundle of what they trust. */
const SYSTEM_BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** What this machine trusts, in PEM; nothing where no bundle is found. */
export async function systemRoots(): Promise<string[]> {
  for (const path of SYSTEM_BUNDLES) {
    const text = await readFile(path, "latin1").catch(() => null);
    if (text !== null) return text.match(CERTIFICATE) ?? [];
  }
  return [];
}

/**
 * Whose word about servers is taken: the public roots that come with sbx, what the user adds, and, on
 * request, what this machine trusts. That is what the guest itself trusts, too.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { patternSet, type TlsSettings } from "../policy/tls_settings.ts";
import type { TrustSpec } from "../tls/dial.ts";
import { readCertificateFiles } from "../tls/pem_file.ts";

/** Where distributions keep the bundle of what they trust. */
const SYSTEM_BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/** @throws SbxError FILE_UNREADABLE, TLS_INVALID */
export async function readTrust(settings: TlsSettings): Promise<TrustSpec> {
  const own = await readCertificateFiles(settings.upstreamCa);
  const host = settings.trustHostCas ? await systemRoots() : [];
  return {
    roots: [...own, ...host],
    unverified: settings.verifyUpstream ? patternSet(settings.noVerify) : "all",
  };
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

/** What this machine trusts, in PEM; nothing where no bundle is found. */
export async function systemRoots(): Promise<string[]> {
  for (const path of SYSTEM_BUNDLES) {
    const text = await readFile(path, "latin1").catch(() => null);
    if (text !== null) return text.match(CERTIFICATE) ?? [];
  }
  return [];
}

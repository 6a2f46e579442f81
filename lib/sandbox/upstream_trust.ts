/**
 * Whose word about servers is taken: the public roots that come with sbx, what the user adds, and, on
 * request, what this machine trusts. That is what the guest itself trusts, too.
 *
 * @module
 */
import { X509Certificate } from "node:crypto";
import { readFile } from "node:fs/promises";
import { SbxError } from "../base/errors.ts";
import { fileError } from "../base/file_error.ts";
import { patternSet, type TlsSettings } from "../policy/tls_settings.ts";
import type { TrustSpec } from "../tls/dial.ts";

/** Where distributions keep the bundle of what they trust. */
const SYSTEM_BUNDLES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];

/** @throws SbxError FILE_UNREADABLE, TLS_INVALID */
export async function readTrust(settings: TlsSettings): Promise<TrustSpec> {
  const own = await Promise.all(settings.upstreamCa.map(readCertificates));
  const host = settings.trustHostCas ? await systemRoots() : [];
  return {
    roots: [...own.flat(), ...host],
    unverified: settings.verifyUpstream ? patternSet(settings.noVerify) : "all",
  };
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g;

async function readCertificates(path: string): Promise<string[]> {
  const text = await readFile(path, "latin1").catch((error) => {
    throw fileError("read the certificates in", path, error);
  });
  const found = text.match(CERTIFICATE) ?? [];
  if (found.length === 0) throw invalid(path, "it has no certificate in PEM");
  for (const pem of found) {
    try {
      new X509Certificate(pem);
    } catch (cause) {
      throw invalid(path, "one of its certificates is malformed", cause);
    }
  }
  return found;
}

function invalid(path: string, state: string, cause?: unknown): SbxError {
  return new SbxError("TLS_INVALID", `Cannot trust the certificates in ${path}: ${state}`, {
    cause,
  });
}

/** What this machine trusts, in PEM; nothing where no bundle is found. */
export async function systemRoots(): Promise<string[]> {
  for (const path of SYSTEM_BUNDLES) {
    const text = await readFile(path, "latin1").catch(() => null);
    if (text !== null) return text.match(CERTIFICATE) ?? [];
  }
  return [];
}

/**
 * Whose word about servers is taken: the public roots that come with sbx, what the user adds, and, on
 * request, what this machine trusts. That is what the guest itself trusts, too.
 *
 * @module
 */
import { patternSet, type TlsSettings } from "../policy/model/tls_settings.ts";
import { readCertificateFiles } from "../tls/authority/pem_file.ts";
import type { TrustSpec } from "../tls/session/dial.ts";
import { systemRoots } from "./system_roots.ts";

/** @throws SbxError FILE_UNREADABLE, TLS_INVALID */
export async function readTrust(settings: TlsSettings): Promise<TrustSpec> {
  const own = await readCertificateFiles(settings.upstreamCa);
  const host = settings.trustHostCas ? await systemRoots() : [];
  return {
    roots: [...own, ...host],
    unverified: settings.verifyUpstream ? patternSet(settings.noVerify) : "all",
  };
}

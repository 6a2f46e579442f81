/**
 * Whose word about servers the guest takes: the same roots that sbx goes by for it, and the authority
 * that answers for what is intercepted.
 *
 * @module
 */
import { rootCertificates } from "node:tls";
import type { GuestTrust } from "../guest/root/trust.ts";
import type { TlsSettings } from "../policy/model/tls_settings.ts";
import { systemRoots } from "./system_roots.ts";

export async function guestTrust(
  { trustHostCas }: TlsSettings,
  authority: readonly string[] | undefined,
): Promise<GuestTrust> {
  const host = trustHostCas ? await systemRoots() : [];
  const roots = [...rootCertificates, ...host];
  return authority === undefined ? { roots } : { roots, authority };
}

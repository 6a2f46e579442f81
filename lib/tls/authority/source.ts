/**
 * Which authority a sandbox uses: the user's own, else the kept one, else one that is made for this
 * sandbox alone and whose key is in memory only. One that was named or kept and cannot be used is an
 * error; falling back would have the guest trust something that the user did not choose.
 *
 * @module
 */

import type { AuthorityFiles, TlsSettings } from "../../policy/model/tls_settings.ts";
import { type Authority, makeAuthority } from "./authority.ts";
import { parseAuthority } from "./pem.ts";
import { readPem } from "./pem_file.ts";
import { authorityPath } from "./spec.ts";
import { keptAuthority } from "./store.ts";

/** @throws SbxError TLS_INVALID, FILE_UNREADABLE */
export async function authorityFor(
  { authority }: Pick<TlsSettings, "authority">,
  dataDir: string,
): Promise<Authority> {
  if (authority !== undefined) return await readAuthority(authority);
  return await keptAuthority(authorityPath(dataDir)) ?? (await makeAuthority()).authority;
}

async function readAuthority({ cert, key }: AuthorityFiles): Promise<Authority> {
  const [certificate, privateKey] = await Promise.all([
    readPem("certificate", cert),
    readPem("key", key),
  ]);
  return await parseAuthority(certificate, privateKey);
}

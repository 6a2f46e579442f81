/**
 * What the guest trusts, in every place where one of its programs looks: the public roots, what this
 * machine trusts when asked for, and the authority of an intercepted network. Certificates only.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { trustStore } from "./keystore.ts";
import type { TarEntry } from "./tar.ts";
import type { TrustStores } from "./trust_stores.ts";

export interface GuestTrust {
  /** Certificates in PEM, the authority's not among them. */
  readonly roots: readonly string[];
  /** Those of the authority, up to its root. Absent: nothing is intercepted. */
  readonly authority?: readonly string[];
}

/** Every certificate, one after the other. */
export const BUNDLE = "/etc/ssl/certs/ca-certificates.crt";

/** The authority alone, for programs that add it to roots of their own. */
export const AUTHORITY = "/etc/ssl/certs/sbx-authority.pem";

/** update-ca-certificates takes up what is here: installing its package does not undo ours. */
const LOCAL_AUTHORITY = "/usr/local/share/ca-certificates/sbx-authority.crt";

/** The files of a guest whose root has these stores. */
export async function trustEntries(
  { roots, authority = [] }: GuestTrust,
  { bundleLinks, java }: TrustStores,
): Promise<TarEntry[]> {
  const all = [...new Set([...roots, ...authority].map(normal))];
  return [
    { path: BUNDLE, data: Buffer.from(all.join("")) },
    ...bundleLinks.map((path) => ({ path, link: BUNDLE })),
    ...(java === undefined ? [] : [
      { path: java.store, data: trustStore(all.map(bytesOf)) },
      ...java.links.map((path) => ({ path, link: java.store })),
    ]),
    ...(authority.length === 0 ? [] : await authorityEntries(authority.map(normal))),
  ];
}

async function authorityEntries(authority: readonly string[]): Promise<TarEntry[]> {
  const data = Buffer.from(authority.join(""));
  const [root = ""] = authority.slice(-1);
  const policy = (value: object) => Buffer.from(JSON.stringify(value));
  const browser = policy({
    CACertificates: authority.map((pem) => bytesOf(pem).toString("base64")),
  });
  return [
    { path: AUTHORITY, data },
    { path: LOCAL_AUTHORITY, data },
    ...await Promise.all(authority.map((pem) => hashLink(bytesOf(pem)))),
    // Browsers ask NSS or a store of their own, and take more by policy.
    {
      path: "/etc/firefox/policies/policies.json",
      data: policy({ policies: { Certificates: { Install: [AUTHORITY] } } }),
    },
    { path: "/etc/chromium/policies/managed/sbx.json", data: browser },
    { path: "/etc/opt/chrome/policies/managed/sbx.json", data: browser },
    { path: "/etc/pki/ca-trust/source/anchors/sbx-authority.pem", data: Buffer.from(root) },
  ];
}

/** For programs that are told to look into the directory, by `-CApath` and its like. */
async function hashLink(der: Uint8Array): Promise<TarEntry> {
  const [{ readCertificate }, { subjectHash }] = await Promise.all([
    import("../../tls/authority/certificate_reader.ts"),
    import("../../tls/authority/subject_hash.ts"),
  ]);
  const hash = subjectHash(readCertificate(der).subject.toArrayBuffer());
  return { path: `/etc/ssl/certs/${hash}.0`, link: "sbx-authority.pem" };
}

/** The bytes of one certificate in PEM. */
export function bytesOf(pem: string): Buffer {
  return Buffer.from(pem.replace(/-----[^-]*-----/g, ""), "base64");
}

/** One line end at the end, whoever wrote it. */
function normal(pem: string): string {
  return `${pem.trim()}\n`;
}

/**
 * The variables that make programs look at the bundle, or add the authority to the roots they carry.
 * A command that brings its own value has that file extended instead.
 */
export const TRUST_VARIABLES: Readonly<Record<string, string>> = {
  AWS_CA_BUNDLE: BUNDLE,
  CARGO_HTTP_CAINFO: BUNDLE,
  CURL_CA_BUNDLE: BUNDLE,
  DENO_CERT: AUTHORITY,
  GIT_SSL_CAINFO: BUNDLE,
  GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: BUNDLE,
  NIX_SSL_CERT_FILE: BUNDLE,
  NODE_EXTRA_CA_CERTS: AUTHORITY, // Bun reads it, too
  PIP_CERT: BUNDLE,
  REQUESTS_CA_BUNDLE: BUNDLE,
  SSL_CERT_FILE: BUNDLE, // OpenSSL, Go, Ruby, rustls, uv
};

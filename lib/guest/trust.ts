/**
 * What the guest trusts, in every place where one of its programs looks: the public roots, what this
 * machine trusts when asked for, and the authority of an intercepted network. Certificates only.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { existsSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { trustStore } from "./keystore.ts";
import type { TarEntry } from "./tar.ts";

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

/** Where other distributions' programs, and other builds of OpenSSL, look for the bundle. */
const BUNDLE_LINKS = [
  "/etc/ssl/cert.pem",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/tls/cert.pem",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

/** update-ca-certificates takes up what is here: installing its package does not undo ours. */
const LOCAL_AUTHORITY = "/usr/local/share/ca-certificates/sbx-authority.crt";

/** Where Debian's and Fedora's Java look. */
const JAVA_STORES = ["/etc/ssl/certs/java/cacerts", "/etc/pki/java/cacerts"];

/** Where Java is installed. One that is not the distribution's has a store of its own. */
const JAVA_HOMES = ["/usr/lib/jvm", "/opt"];

/** The files of the guest, relative to the host whose /usr and /opt it sees. */
export async function trustEntries(
  { roots, authority = [] }: GuestTrust,
): Promise<TarEntry[]> {
  const all = [...new Set([...roots, ...authority].map(normal))];
  const entries: TarEntry[] = [
    { path: BUNDLE, data: Buffer.from(all.join("")) },
    ...BUNDLE_LINKS.map((path) => ({ path, link: BUNDLE })),
    // OpenSSL's own directory on Debian; older releases have no file in it.
    ...(existsSync("/usr/lib/ssl") ? [{ path: "/usr/lib/ssl/cert.pem", link: BUNDLE }] : []),
  ];
  const homes = javaHomes();
  if (homes.length > 0) entries.push(...javaEntries(homes, all));
  if (authority.length > 0) entries.push(...await authorityEntries(authority.map(normal)));
  return entries;
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
    import("../tls/certificate_reader.ts"),
    import("../tls/subject_hash.ts"),
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

function javaHomes(): readonly string[] {
  return JAVA_HOMES.flatMap((parent) => {
    try {
      return readdirSync(parent).map((name) => join(parent, name));
    } catch {
      return []; // no Java of this kind here
    }
  }).filter((home) => exists(storeOf(home)));
}

function storeOf(home: string): string {
  return join(home, "lib/security/cacerts");
}

/** One store for all: the distribution's Java links to it already, the others are made to. */
function javaEntries(homes: readonly string[], all: readonly string[]): TarEntry[] {
  const [store = ""] = JAVA_STORES;
  const own = homes.map(storeOf).filter((path) => lstatSync(path).isFile());
  return [
    { path: store, data: trustStore(all.map(bytesOf)) },
    ...[...JAVA_STORES.slice(1), ...own].map((path) => ({ path, link: store })),
  ];
}

function exists(path: string): boolean {
  try {
    lstatSync(path);
    return true;
  } catch {
    return false;
  }
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

/**
 * Where the programs of a root look for whom to trust. Places that cost nothing when nobody looks are
 * always filled; here is what depends on what is installed.
 *
 * @module
 */
import { existsSync, lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";

/** Paths in the guest. */
export interface TrustStores {
  /** Made links to the bundle. */
  readonly bundleLinks: readonly string[];
  /** Java's own: one is written, the others are made links to it. Absent: there is no Java. */
  readonly java?: { readonly store: string; readonly links: readonly string[] };
}

/** Where other distributions' programs, and other builds of OpenSSL, look for the bundle. */
const BUNDLE_LINKS = [
  "/etc/ssl/cert.pem",
  "/etc/ssl/ca-bundle.pem",
  "/etc/pki/tls/cert.pem",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
];

/** OpenSSL's own directory on Debian; older releases have no file in it. */
export const OPENSSL = "/usr/lib/ssl";

/** Where Debian's and Fedora's Java look. */
const JAVA_STORE = "/etc/ssl/certs/java/cacerts";
const JAVA_LINK = "/etc/pki/java/cacerts";

/** Where Java is installed. One that is not the distribution's has a store of its own. */
export const JAVA_HOMES = ["/usr/lib/jvm", "/opt"];

/** Where one of these has its store. */
export const CACERTS = "lib/security/cacerts";

/** What is in the place of a Java's own store. */
export interface JavaStore {
  readonly path: string;
  readonly kind: "file" | "other";
}

/** The stores of a tree, which is this machine's unless another directory holds it. */
export function findTrustStores(tree = "/"): TrustStores {
  const inJava = JAVA_HOMES.flatMap((parent) => homesIn(tree, parent)).flatMap((home) => {
    const path = join(home, CACERTS);
    const kind = kindOf(join(tree, path));
    return kind === "none" ? [] : [{ path, kind }];
  });
  return trustStores(existsSync(join(tree, OPENSSL)), inJava);
}

/** The stores of a tree in which this was found. Pure. */
export function trustStores(hasOpenssl: boolean, inJava: readonly JavaStore[]): TrustStores {
  // The distribution's Java links to its store already; the others are made to.
  const own = inJava.filter(({ kind }) => kind === "file").map(({ path }) => path);
  return {
    bundleLinks: [...BUNDLE_LINKS, ...(hasOpenssl ? [join(OPENSSL, "cert.pem")] : [])],
    ...(inJava.length === 0 ? {} : { java: { store: JAVA_STORE, links: [JAVA_LINK, ...own] } }),
  };
}

function homesIn(tree: string, parent: string): string[] {
  try {
    return readdirSync(join(tree, parent)).map((name) => join(parent, name));
  } catch {
    return []; // no Java of this kind here
  }
}

function kindOf(path: string): "file" | "other" | "none" {
  try {
    return lstatSync(path).isFile() ? "file" : "other";
  } catch {
    return "none";
  }
}

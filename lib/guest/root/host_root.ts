/**
 * The root that this machine's own tree makes: its programs, and of its settings what they need.
 *
 * @module
 */
import { readdirSync, readlinkSync } from "node:fs";
import { rootCertificates } from "node:tls";
import { etcEntries } from "./host_etc.ts";
import { packageDatabase } from "./host_packages.ts";
import type { Root } from "./root.ts";
import { findTrustStores } from "./trust_stores.ts";

/** Directories that give the guest its tools. */
const TREES = ["/usr", "/opt"];

/** On a host with merged /usr these are links into it. */
const LINKS = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

export function hostRoot(): Root {
  const packages = packageDatabase();
  const trees = [...TREES.filter(holdsAny), ...packages?.trees ?? []];
  return {
    shares: trees.map((path) => ({ path, at: path })),
    links: rootLinks(),
    home: "/root",
    env: {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      SHELL: "/bin/sh",
      LANG: "C.UTF-8",
    },
    publicRoots: rootCertificates,
    trustStores: findTrustStores(),
    entries: () => [...etcEntries(), ...packages?.entries() ?? []],
  };
}

/** Every share takes a start some time: one of an empty directory, as /opt mostly is, for nothing. */
function holdsAny(path: string): boolean {
  try {
    return readdirSync(path).length > 0;
  } catch {
    return false; // this host has no such directory
  }
}

function rootLinks(): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of LINKS) {
    try {
      found[name] = readlinkSync(`/${name}`).replace(/^\//, "");
    } catch {
      // this host has no such link
    }
  }
  return found;
}

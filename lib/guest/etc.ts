/**
 * The guest's /etc: what the tools of the host's /usr need to run, and nothing that is the user's.
 *
 * @module
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import type { TarEntry } from "./tar.ts";

/** Public facts about the distribution, copied when they are there. */
const COPIED = [
  "/etc/ld.so.cache",
  "/etc/ld.so.conf",
  "/etc/os-release",
  "/etc/debian_version",
  "/etc/protocols",
  "/etc/services",
  "/etc/mime.types",
  "/etc/ssl/openssl.cnf",
];

/** Directories of links that only choose between programs under /usr. */
const LINK_DIRECTORIES = ["/etc/alternatives"];

/** Trees of settings without which programs under /usr do not start: Debian's Java has them here. */
const CONFIGURATIONS = /^java-[0-9.]+-openjdk$/;

/** Every start sends them; beyond this the tools do without. */
const MAX_FILE_BYTES = 1024 * 1024;

/** The guest's own identity, and its resolver: whatever address is asked, sbx answers. */
export function etcEntries(hostname: string, resolver: string | null): TarEntry[] {
  const own: Readonly<Record<string, string>> = {
    "/etc/hostname": `${hostname}\n`,
    "/etc/hosts": `127.0.0.1 localhost\n::1 localhost ip6-localhost\n127.0.1.1 ${hostname}\n`,
    "/etc/passwd":
      "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
    "/etc/group": "root:x:0:\ntty:x:5:\nnogroup:x:65534:\n",
    "/etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "/etc/resolv.conf": resolver === null ? "" : `nameserver ${resolver}\n`,
    "/etc/gai.conf": "",
    // Mounts belong to the caller and commands run as root, which git takes for an attack; here the
    // user named the mount, and the guest is where a repository's own hooks belong.
    "/etc/gitconfig": "[safe]\n\tdirectory = *\n",
  };
  const files = Object.entries(own).map(([path, text]) => ({
    path,
    data: new TextEncoder().encode(text),
  }));
  return [
    ...files,
    ...COPIED.flatMap(copied),
    ...LINK_DIRECTORIES.flatMap(links),
    ...configurations().flatMap(copied),
  ];
}

function copied(path: string): TarEntry[] {
  try {
    const data = readFileSync(path);
    return data.length > MAX_FILE_BYTES ? [] : [{ path, data }];
  } catch {
    return []; // not this distribution's
  }
}

function configurations(): string[] {
  return namesIn("/etc").filter((name) => CONFIGURATIONS.test(name)).flatMap((name) =>
    readdirSync(join("/etc", name), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
  );
}

function namesIn(dir: string): string[] {
  try {
    return readdirSync(dir);
  } catch {
    return [];
  }
}

function links(dir: string): TarEntry[] {
  try {
    return readdirSync(dir, { withFileTypes: true })
      .filter((entry) => entry.isSymbolicLink())
      .map(({ name }) => ({ path: join(dir, name), link: readlinkSync(join(dir, name)) }));
  } catch {
    return [];
  }
}

/** The root's own links on a host with merged /usr: `bin → usr/bin` and its like. */
export function rootLinks(): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of ["bin", "sbin", "lib", "lib32", "lib64", "libx32"]) {
    try {
      found[name] = readlinkSync(`/${name}`).replace(/^\//, "");
    } catch {
      // this host has no such link
    }
  }
  return found;
}

/**
 * What apt and dpkg need of this machine so that packages can be installed in the guest: their records of what /usr
 * holds, under a layer of the guest's own; the sources and keys of the host; and places to work in.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { TarEntry } from "./tar.ts";

/** What is installed in /usr, which the guest sees, too. It says nothing of the user's own files. */
const DATABASE = "/var/lib/dpkg";

/** dpkg's, which only root can read, or not there before it first runs. */
const LOCKS = ["lock", "lock-frontend", "triggers/Lock"];

/** What dpkg and apt need of this machine. */
export interface PackageDatabase {
  /** Trees beside /usr. */
  readonly trees: readonly string[];
  /** What is in no tree. */
  entries(): TarEntry[];
}

/** Undefined where dpkg is not at home. */
export function packageDatabase(): PackageDatabase | undefined {
  if (!existsSync(join(DATABASE, "status"))) return undefined;
  return { trees: [DATABASE], entries: packageEntries };
}

/** Directories that packages of every Debian own, and whose scripts do not ask for them. */
const DIRECTORIES = [
  "/etc/apt/apt.conf.d",
  "/etc/apt/preferences.d",
  "/etc/skel",
  "/var/backups",
  "/var/cache/apt/archives/partial",
  "/var/cache/debconf",
  "/var/cache/fontconfig",
  "/var/cache/ldconfig",
  "/var/cache/man",
  "/var/lib/apt/lists/partial",
  "/var/lib/dbus",
  "/var/lib/emacsen-common/state",
  "/var/lib/misc",
  "/var/lib/pam",
  "/var/lib/python",
  "/var/lib/sgml-base",
  "/var/lib/systemd",
  "/var/lib/ucf/cache",
  "/var/lib/xml-core",
  "/var/log/apt",
  "/var/mail",
  "/var/spool",
];

/** Where apt looks for sources and for keys, by what a name there ends in. */
const SOURCES: readonly (readonly [directory: string, names: RegExp])[] = [
  ["/etc/apt", /^sources\.list$/],
  ["/etc/apt/sources.list.d", /\.(list|sources)$/],
];
const KEYS: readonly (readonly [directory: string, names: RegExp])[] = [
  ["/etc/apt", /^trusted\.gpg$/],
  ["/etc/apt/trusted.gpg.d", /\.(asc|gpg)$/],
  ["/etc/apt/keyrings", /\.(asc|gpg)$/],
  ["/etc/apt/preferences.d", /./],
];

/** A password in a source's address stays with the host: its whole file does. */
const CREDENTIALS = /:\/\/[^/\s@]{0,1024}@/;

/** Commands are root, and there is nobody else in the guest whom a lesser user would protect from. */
const SETTINGS = 'APT::Sandbox::User "root";\n';

/** As in container images: packages with services are installed without starting them (invoke-rc.d(8)). */
const POLICY = "#!/bin/sh\nexit 101\n";

function packageEntries(): TarEntry[] {
  const policy = "/usr/sbin/policy-rc.d";
  return [
    ...DIRECTORIES.map((path) => ({ path, directory: true as const })),
    ...LOCKS.map((name) => ({ path: join(DATABASE, name), mode: 0o640 })),
    ...KEYS.flatMap(copies),
    ...SOURCES.flatMap(copies).filter(({ data }) => !CREDENTIALS.test(String(data))),
    { path: "/etc/apt/apt.conf.d/00sbx", data: new TextEncoder().encode(SETTINGS) },
    ...(existsSync(policy)
      ? []
      : [{ path: policy, data: new TextEncoder().encode(POLICY), mode: 0o755 }]),
  ];
}

function copies([directory, names]: readonly [string, RegExp]) {
  return namesIn(directory).filter((name) => names.test(name)).flatMap((name) => {
    const path = join(directory, name);
    try {
      return [{ path, data: readFileSync(path) }];
    } catch {
      return []; // a directory, or one that this user may not read
    }
  });
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

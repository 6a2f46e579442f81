/**
 * /etc for a guest with this machine's tools: what those need to run, and nothing that is the user's.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { join } from "node:path";
import { accountEntries } from "./host_accounts.ts";
import type { TarEntry } from "./tar.ts";

/** Public facts about the distribution, copied when they are there. */
const COPIED = [
  "/etc/ld.so.cache",
  "/etc/ld.so.conf",
  "/etc/os-release",
  "/etc/lsb-release",
  "/etc/debian_version",
  "/etc/redhat-release",
  "/etc/adduser.conf",
  "/etc/debconf.conf",
  "/etc/deluser.conf",
  "/etc/ethertypes",
  "/etc/fonts/fonts.conf",
  "/etc/inputrc",
  "/etc/login.defs",
  "/etc/manpath.config",
  "/etc/maven/m2.conf",
  "/etc/mke2fs.conf",
  "/etc/netconfig",
  "/etc/rpc",
  "/etc/ucf.conf",
  "/etc/protocols",
  "/etc/services",
  "/etc/mime.types",
  "/etc/ssl/openssl.cnf",
];

/** Directories of links that only choose between programs under /usr. */
const LINK_DIRECTORIES = ["/etc/alternatives"];

/**
 * Trees of settings without which programs under /usr do not start, or do not find their libraries.
 * Debian's Java has its own here.
 */
const CONFIGURATIONS = /^(java-[0-9.]+-openjdk|ld\.so\.conf\.d)$/;

/** Whoever asks is root already, or was made another user by root: there is nothing to prove. */
const PAM = ["auth", "account", "password", "session"].map((kind) =>
  `${kind} required pam_permit.so\n`
)
  .join("");

/** The names that Debian's packages include (pam.d(5)); every other service is `other`. */
const PAM_SERVICES = [
  "other",
  "common-account",
  "common-auth",
  "common-password",
  "common-session",
  "common-session-noninteractive",
];

const SHELLS = ["/bin/sh", "/bin/bash", "/bin/dash", "/bin/zsh", "/usr/bin/fish"].flatMap((path) =>
  path.startsWith("/usr") ? [path] : [path, `/usr${path}`]
);

/** Every start sends them; beyond this the tools do without. */
const MAX_FILE_BYTES = 1024 * 1024;

/** Without a database that is not said here, a program may ask one that the guest does not have. */
const NAME_SERVICE =
  ["passwd", "group", "shadow", "gshadow", "networks", "protocols", "services", "rpc"]
    .map((database) => `${database}: files\n`).join("") + "hosts: files dns\n";

/** What every guest with this machine's tools has in /etc. */
export function etcEntries(): TarEntry[] {
  const own: Readonly<Record<string, string>> = {
    "/etc/nsswitch.conf": NAME_SERVICE,
    "/etc/shells": `${SHELLS.filter((path) => existsSync(path)).join("\n")}\n`,
    "/etc/timezone": "Etc/UTC\n",
    ...Object.fromEntries(PAM_SERVICES.map((name) => [`/etc/pam.d/${name}`, PAM])),
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
    ...accountEntries(),
    { path: "/etc/mtab", link: "/proc/mounts" },
    { path: "/etc/localtime", link: "/usr/share/zoneinfo/Etc/UTC" },
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

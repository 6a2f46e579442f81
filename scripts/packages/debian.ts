/**
 * The Debian package of a target. It is put together by dpkg-deb alone: what debhelper does to programs
 * (strip, look for libraries) would take from a binary of Bun what it carries.
 *
 * @module
 */
import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  globSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import process from "node:process";
import { promisify } from "node:util";
import { partsOf, type Target } from "../binary/target.ts";
import { compressed, normalise } from "./archive.ts";
import { LIMA_DRIVER, writeCompletions, writeManual } from "./documents.ts";
import { PROJECT } from "./project.ts";
import type { Release } from "./release.ts";

/** Names that packages of Debian and its kin have for completions. */
const COMPLETIONS = {
  bash: "usr/share/bash-completion/completions/sbx",
  zsh: "usr/share/zsh/vendor-completions/_sbx",
  fish: "usr/share/fish/vendor_completions.d/sbx.fish",
} as const;

const ARCHITECTURES = { x64: "amd64", arm64: "arm64" } as const;
const MACHINES = { x64: "qemu-system-x86", arm64: "qemu-system-arm" } as const;

/** What Bun's builds for Linux ask of the C library. */
const LIBC = "libc6 (>= 2.17)";

/** A pre-release comes before its release: 0.2.0~rc.1. */
function debianVersion({ version }: Release): string {
  return `${version.replace("-", "~")}-1`;
}

export function debianName(release: Release, { machine }: Target): string {
  return `sbx_${debianVersion(release)}_${ARCHITECTURES[machine]}.deb`;
}

export async function writeDebian(
  release: Release,
  target: Target,
  { binary, work, out }: { readonly binary: string; readonly work: string; readonly out: string },
): Promise<void> {
  const name = debianName(release, target);
  const directory = `${work}/${name.replace(/\.deb$/, "")}`;
  rmSync(directory, { recursive: true, force: true });
  for (const each of ["DEBIAN", "usr/bin", "usr/share/doc/sbx", "usr/share/lintian/overrides"]) {
    mkdirSync(`${directory}/${each}`, { recursive: true });
  }
  cpSync(binary, `${directory}/usr/bin/sbx`);
  mkdirSync(`${directory}/usr/lib/lima`, { recursive: true });
  cpSync(`${release.root}/${LIMA_DRIVER}`, `${directory}/usr/lib/lima/lima-driver-sbx`);
  writeCompletions(directory, COMPLETIONS);
  const manual = `${directory}/usr/share/man/man1`;
  for (const page of await writeManual(manual, release.version)) compress(`${manual}/${page}`);
  const documents = `${directory}/usr/share/doc/sbx`;
  writeFileSync(`${documents}/copyright`, COPYRIGHT);
  cpSync(`${release.root}/${partsOf(target)}/notices`, `${documents}/NOTICES`);
  compress(`${documents}/NOTICES`);
  writeFileSync(`${documents}/changelog.Debian`, changelog(release));
  compress(`${documents}/changelog.Debian`);
  writeFileSync(`${directory}/usr/share/lintian/overrides/sbx`, OVERRIDES);
  normalise(directory);
  writeFileSync(`${directory}/DEBIAN/control`, control(release, target, installedSize(directory)));
  writeFileSync(`${directory}/DEBIAN/md5sums`, sums(directory));
  const argv = ["--root-owner-group", "-Zxz", "--build", directory, `${out}/${name}`];
  await promisify(execFile)("dpkg-deb", argv, {
    env: {
      ...process.env,
      SOURCE_DATE_EPOCH: String(release.time),
      DPKG_DEB_THREADS_MAX: "1", // what several threads compress depends on how many they are
    },
  });
}

function control(release: Release, { machine }: Target, kibibytes: number): string {
  return `Package: sbx
Version: ${debianVersion(release)}
Architecture: ${ARCHITECTURES[machine]}
Maintainer: ${PROJECT.maintainer}
Installed-Size: ${kibibytes}
Depends: ${MACHINES[machine]}, ${LIBC}
Recommends: virtiofsd | qemu-system-common (<< 1:8)
Section: utils
Priority: optional
Homepage: ${PROJECT.homepage}
Description: ${PROJECT.description.charAt(0).toLowerCase()}${PROJECT.description.slice(1)}
 sbx boots a fresh Linux guest in a second or two, runs one command in it as
 if it were local, and judges every flow that the guest opens before a packet
 of it leaves this machine. When the command ends, the guest is gone.
 .
 Policies allow and deny by address, name and port, or by request where TLS is
 intercepted; secrets stay on the host, and the guest has placeholders.
`;
}

/** What `dpkg --verify` goes by. */
function sums(directory: string): string {
  return filesOf(directory).map((path) => {
    const sum = createHash("md5").update(readFileSync(`${directory}/${path}`)).digest("hex");
    return `${sum}  ${path}\n`;
  }).join("");
}

function filesOf(directory: string): readonly string[] {
  return globSync("usr/**", { cwd: directory }).sort()
    .filter((path) => statSync(`${directory}/${path}`).isFile());
}

/** In KiB, as dpkg counts: each file rounded up, each directory one. */
function installedSize(directory: string): number {
  return globSync("usr/**", { cwd: directory }).map((path) => statSync(`${directory}/${path}`))
    .reduce((sum, file) => sum + (file.isDirectory() ? 1 : Math.ceil(file.size / 1024)), 0);
}

/** Texts that every Debian system has are referred to; what else is to be told stands beside this file. */
const COPYRIGHT = `Copyright (C) 2026 The sbx authors

sbx is under the Apache License, version 2.0, the text of which is in
/usr/share/common-licenses/Apache-2.0.

The program carries works of others, which are listed with their licences and
copyright notices in NOTICES.gz beside this file. Among them are Linux, under
/usr/share/common-licenses/GPL-2, and libraries of the runtime Bun under
/usr/share/common-licenses/LGPL-2 and LGPL-2.1. NOTICES.gz says where the
source of these is to be had.
`;

function changelog(release: Release): string {
  const date = new Date(release.time * 1000).toUTCString().replace("GMT", "+0000");
  return `sbx (${debianVersion(release)}) unstable; urgency=medium

  * Release ${release.version}.

 -- ${PROJECT.maintainer}  ${date}
`;
}

/** Why lintian's rules for programs of C do not hold for this one. */
const OVERRIDES =
  `# The program is Bun's runtime with what it runs behind it: stripping takes that away.
sbx: unstripped-binary-or-object
sbx: embedded-library
sbx: hardening-no-pie
sbx: hardening-no-relro
sbx: hardening-no-bindnow
# Guests are shown what is installed here, as dpkg records it, so that packages can be added to it.
sbx: uses-dpkg-database-directly
# It is no upload to Debian.
sbx: initial-upload-closes-no-bugs
`;

function compress(path: string): void {
  writeFileSync(`${path}.gz`, compressed(readFileSync(path)));
  rmSync(path);
}

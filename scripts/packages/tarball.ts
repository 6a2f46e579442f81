/**
 * The tarball of a target, which Homebrew and people without a package manager unpack.
 *
 * @module
 */
import { cpSync, mkdirSync } from "node:fs";
import { nameOf, partsOf, type Target } from "../binary/target.ts";
import { archive } from "./archive.ts";
import {
  copyLicences,
  copyPages,
  LIMA_DRIVER,
  TARBALL_COMPLETIONS,
  writeCompletions,
  writeManual,
} from "./documents.ts";
import type { Release } from "./release.ts";

export function tarballName({ version }: Release, target: Target): string {
  return `sbx-${version}-${nameOf(target)}.tar.gz`;
}

/** Writes it into `out`, by way of a directory of its name in `work`. */
export async function writeTarball(
  release: Release,
  target: Target,
  { binary, work, out }: { readonly binary: string; readonly work: string; readonly out: string },
): Promise<void> {
  const name = tarballName(release, target);
  const directory = `${work}/${name.replace(/\.tar\.gz$/, "")}`;
  mkdirSync(directory, { recursive: true });
  cpSync(binary, `${directory}/sbx`);
  cpSync(`${release.root}/${LIMA_DRIVER}`, `${directory}/lima-driver-sbx`);
  writeCompletions(directory, TARBALL_COMPLETIONS);
  await writeManual(`${directory}/man`, release.version);
  copyLicences(release.root, partsOf(target), directory);
  copyPages(release.root, directory);
  await archive(directory, `${out}/${name}`, release.time);
}

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

/** Everybody can unpack the one; the other is smaller, and takes longer to make. */
const COMPRESSIONS = ["gz", "xz"] as const;
type Compression = typeof COMPRESSIONS[number];

export function tarballName(
  { version }: Release,
  target: Target,
  compression: Compression = "gz",
): string {
  return `sbx-${version}-${nameOf(target)}.tar.${compression}`;
}

/** Writes it into `out`, by each compression, by way of a directory of its name in `work`. */
export async function writeTarball(
  release: Release,
  target: Target,
  { binary, work, out }: { readonly binary: string; readonly work: string; readonly out: string },
  compressions: readonly Compression[] = COMPRESSIONS,
): Promise<void> {
  const directory = `${work}/sbx-${release.version}-${nameOf(target)}`;
  mkdirSync(directory, { recursive: true });
  cpSync(binary, `${directory}/sbx`);
  cpSync(`${release.root}/${LIMA_DRIVER}`, `${directory}/lima-driver-sbx`);
  writeCompletions(directory, TARBALL_COMPLETIONS);
  await writeManual(`${directory}/man`, release.version);
  copyLicences(release.root, partsOf(target), directory);
  copyPages(release.root, directory);
  const outs = compressions.map((each) => `${out}/${tarballName(release, target, each)}`);
  await archive(directory, outs, release.time, target.machine);
}

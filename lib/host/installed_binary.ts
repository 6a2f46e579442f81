/**
 * The binary that is installed beside the library: npm has one package for each platform, of which it
 * installs the one that fits.
 *
 * @module
 */
import { createRequire } from "node:module";
import process from "node:process";

/** The scope of the packages; scripts/packages makes them. */
export const NPM_SCOPE = "@sbx-dev";

/** The package that has the binary for this machine, if there is one. */
export function platformPackage(): string {
  return `${NPM_SCOPE}/${process.platform}-${process.arch}`;
}

/** Its path; null where there is none, as in a checkout. */
export function installedBinary(): string | null {
  try {
    return createRequire(import.meta.url).resolve(`${platformPackage()}/bin/sbx`);
  } catch {
    return null;
  }
}

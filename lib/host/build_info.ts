/**
 * What this binary was built from. `scripts/build.ts` defines the constant; in a checkout there is
 * none, because nothing was built.
 *
 * @module
 */
import process from "node:process";

/** Versions by component, in the order to print them. */
export type BuildInfo = Readonly<Record<string, string>>;

declare const SBX_BUILD: BuildInfo | undefined;

export function buildInfo(): BuildInfo {
  const built = typeof SBX_BUILD === "undefined" ? { sbx: "0.0.0 (checkout)" } : SBX_BUILD;
  return { ...built, bun: process.versions.bun ?? "unknown" };
}

/**
 * Why copies of a sandbox have its disk alone, without its memory and processes, and why it goes on from no others'.
 * Pure.
 *
 * @module
 */
import { HAS_AUTHORITY, HAS_PLACEHOLDERS } from "../sandbox/stand_still.ts";
import { networkOf, type SandboxRecord } from "./record.ts";

/** Undefined: nothing that is written down of it stands against that. */
export function whyDiskAlone(
  { name, spec }: Pick<SandboxRecord, "name" | "spec">,
): string | undefined {
  if (spec.savable !== true) return "the sandbox was not created with --savable";
  const { secrets, tls } = networkOf(name, spec.policy);
  // What its processes hold of them, another sandbox would not know as its own.
  if (secrets.secrets.length > 0) return HAS_PLACEHOLDERS;
  if (tls.intercept) return HAS_AUTHORITY;
  // The layer over a copy goes by 9p, and QEMU saves no machine that has that mounted.
  if (spec.mounts.some((mount) => mount.as === "copy")) {
    return "it has a copy of a directory mounted";
  }
  return undefined;
}

/**
 * What the kernel says of this process, the user namespace that it is in, and itself.
 *
 * @module
 */
import process from "node:process";
import type { Caller } from "../guest/qemu/identity.ts";
import { ownSystem } from "./own_system.ts";

export function caller(): Caller {
  return { uid: process.geteuid?.() ?? -1, ...ownSystem().processes.rights() };
}

/** Which boot of this machine it is; null where the system does not tell. */
export function bootId(): string | null {
  return ownSystem().processes.bootId();
}

/** How many files this process could open after raising its limit as far as anybody may. */
export function fileLimit(): number {
  return ownSystem().processes.fileLimit().hard;
}

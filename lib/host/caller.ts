/**
 * What the kernel says of this process and the user namespace that it is in.
 *
 * @module
 */
import process from "node:process";
import type { Caller } from "../guest/qemu/identity.ts";
import { ownSystem } from "./own_system.ts";

export function caller(): Caller {
  return { uid: process.geteuid?.() ?? -1, ...ownSystem().processes.rights() };
}

/** How many files this process could open after raising its limit as far as anybody may. */
export function fileLimit(): number {
  return ownSystem().processes.fileLimit().hard;
}

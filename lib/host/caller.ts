/**
 * What the kernel says of this process and the user namespace that it is in.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import process from "node:process";
import type { Caller } from "../guest/qemu/identity.ts";

/** Every identifier, as outside of any user namespace. */
const ALL = "0 0 4294967295";

/**
 * Where the kernel says nothing, root counts as the real one; a step that it cannot take then fails
 * when it is taken.
 */
export function caller(): Caller {
  const read = (name: string) => {
    try {
      return readFileSync(`/proc/self/${name}`, "utf8");
    } catch {
      return undefined;
    }
  };
  const effective = /^CapEff:\t([0-9a-f]+)$/m.exec(read("status") ?? "")?.[1];
  return {
    uid: process.geteuid?.() ?? -1,
    capabilities: effective === undefined ? (1n << 64n) - 1n : BigInt(`0x${effective}`),
    uidMap: read("uid_map") ?? ALL,
    gidMap: read("gid_map") ?? ALL,
    setsGroups: read("setgroups")?.trim() !== "deny",
  };
}

/** How many files this process could open after raising its limit as far as anybody may. */
export function fileLimit(): number {
  try {
    const limits = readFileSync("/proc/self/limits", "utf8");
    const hard = /^Max open files +\S+ +(\S+)/m.exec(limits)?.[1];
    return hard === "unlimited" ? Infinity : Number(hard ?? Infinity);
  } catch {
    return Infinity;
  }
}

/**
 * Which template a machine could go on from: its key, and whose its files are.
 *
 * @module
 */
import { readFile } from "node:fs/promises";
import { release } from "node:os";
import { preparation, type RootEntries } from "../configuration.ts";
import { type CommonPlan, type GuestPlan, hasTree } from "../plan.ts";
import type { Cable } from "../provider.ts";
import { MOST_ADDED } from "./args.ts";
import { templateKey } from "../template/key.ts";
import type { TemplateSize } from "../template/manifest.ts";
import { type Owners, templatesBelow } from "../template/store.ts";
import { type Caller, identityOf } from "./identity.ts";
import { savedLaunchOf } from "./launch_of.ts";
import type { QemuHost } from "./launch.ts";
import type { Machine } from "./machine.ts";
import type { QemuPlatform } from "./platform.ts";

/** Of a larger one, what its kernel keeps of its own memory alone takes much room. */
const MOST_MEMORY_MIB = 16 * 1024;

/** Modules that a guest from a template can use beyond those of the boot: for mounts, whatever serves them. */
export const TEMPLATE_MODULES: readonly string[] = ["virtiofs"];

/** The same for one that has no root yet, which may get a disk. */
export const ROOTLESS_MODULES: readonly string[] = [...TEMPLATE_MODULES, "disk"];

export function templateDirectory(host: Pick<QemuHost, "cacheDir">): string {
  return templatesBelow(host.cacheDir());
}

export function sizeOf({ cpus, memoryMiB, network, root }: CommonPlan): TemplateSize {
  return { cpus, memoryMiB, network: network !== undefined, root: root !== undefined };
}

/**
 * What a guest has in common with all that go on from the template that serves it; null: none does. A machine that
 * waits for its state cannot be given another cable than ours.
 *
 * With a disk it is one that has no root yet: with one, that is in its memory, with the files that every guest has,
 * and on a disk these go by what the guest before left there. So it is with a tree, of which there can be many.
 */
export function servedBy(
  { template, cpus, memoryMiB, root, disk, mounts, network }: GuestPlan,
  cable: Cable | undefined,
  { hasTemplates }: Pick<QemuPlatform, "hasTemplates">,
): CommonPlan | null {
  const hasOwn = hasTree({ root }) || disk !== undefined;
  const added = mounts.length + (hasOwn ? root.shares.length : 0) + (disk === undefined ? 0 : 1);
  const fits = memoryMiB <= MOST_MEMORY_MIB && added <= MOST_ADDED &&
    (cable === undefined || "fd" in cable);
  if (!template || !hasTemplates || !fits) return null;
  return {
    cpus,
    memoryMiB,
    ...(hasOwn ? {} : { root }),
    ...(network === undefined ? {} : { network }),
  };
}

/** `early`: what its root has. Of a machine whose counter is not known yet, it is the key that it has once it is. */
export async function keyOf(
  { root, ...plan }: CommonPlan,
  early: RootEntries["early"],
  machine: Omit<Machine, "tscKHz"> & Partial<Pick<Machine, "tscKHz">>,
  { build, caller, assetPath }: Pick<QemuHost, "build" | "caller" | "assetPath">,
): Promise<string> {
  // Whether the counter's frequency is told matters, and not how it was measured this time.
  const { tscKHz = isToldCounter(machine) ? 1 : 0 } = machine;
  const counted = { ...machine, tscKHz: Math.sign(tscKHz) };
  const memory = { path: "", use: "copy" } as const;
  const { launch } = savedLaunchOf({ ...plan, ...(root && { root }) }, counted, caller(), memory);
  return await templateKey({
    build,
    argv: launch.argv,
    files: [
      machine.program,
      machine.kernel,
      machine.initramfs,
      ...(root === undefined ? [await assetPath("disk_modules")] : []),
    ],
    user: caller().uid,
    processor: machine.found.accelerator === "tcg" ? "" : await processor(),
    preparation: root === undefined
      ? { loaded: ROOTLESS_MODULES }
      : preparation({ ...plan, root }, TEMPLATE_MODULES),
    entries: root === undefined ? [] : early,
  });
}

/** Whether its guests are told the counter's frequency, unless that cannot be measured. */
function isToldCounter({ architecture, found }: Pick<Machine, "architecture" | "found">): boolean {
  return architecture === "x64" && found.accelerator === "tcg";
}

/** What the guest sees of the processor, and the kernel that lets it. */
export async function processor(): Promise<string> {
  const text = await readFile("/proc/cpuinfo", "utf8").catch(() => "");
  const [first = ""] = text.split("\n\n");
  const lines = first.split("\n").filter((line) => !/^(cpu MHz|bogomips|BogoMIPS)\b/.test(line));
  return [release(), ...lines].join("\n");
}

/**
 * QEMU opens the memory for writing even where it only copies, so it has to be allowed to; `netstack launch
 * --read-only` sees to it that it does not write. Which user it is going to be is not known before.
 */
export function ownersOf(caller: Caller): Owners {
  const { user } = identityOf(caller, "public");
  return { own: caller.uid, memory: user === undefined ? 0 : 0o066 };
}

/** Which boot of this machine it is; where the system does not tell, each run looks anew. */
export function epoch({ bootId }: Pick<QemuHost, "bootId">): string {
  return bootId() ?? crypto.randomUUID();
}

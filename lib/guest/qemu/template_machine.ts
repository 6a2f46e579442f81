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

/** Of a larger one, what its kernel keeps of its own memory alone takes much room. */
const MOST_MEMORY_MIB = 16 * 1024;

/** Modules that a guest from a template can use beyond those of the boot: for mounts, whatever serves them. */
export const TEMPLATE_MODULES: readonly string[] = ["virtiofs"];

export function templateDirectory(host: Pick<QemuHost, "cacheDir">): string {
  return templatesBelow(host.cacheDir());
}

export function sizeOf({ cpus, memoryMiB, network }: CommonPlan): TemplateSize {
  return { cpus, memoryMiB, network: network !== undefined };
}

/**
 * A machine that waits for its state cannot be given another cable than ours. Nor can it have a disk: its root is
 * in its memory already, with the files that every guest has, and on a disk these go by what the guest before left
 * there. Nor is one made for a tree, of which there can be many.
 */
export function isServed(
  { root, template, memoryMiB, disk, mounts }: GuestPlan,
  cable: Cable | undefined,
): boolean {
  return template && !hasTree({ root }) && disk === undefined && memoryMiB <= MOST_MEMORY_MIB &&
    mounts.length <= MOST_ADDED &&
    (cable === undefined || "fd" in cable);
}

/** Of a machine whose counter is not known yet, it is the key that it has once it is. */
export async function keyOf(
  plan: CommonPlan,
  entries: RootEntries,
  machine: Omit<Machine, "tscKHz"> & Partial<Pick<Machine, "tscKHz">>,
  { build, caller }: Pick<QemuHost, "build" | "caller">,
): Promise<string> {
  // Whether the counter's frequency is told matters, and not how it was measured this time.
  const { tscKHz = isToldCounter(machine) ? 1 : 0 } = machine;
  const counted = { ...machine, tscKHz: Math.sign(tscKHz) };
  const { launch } = savedLaunchOf(plan, counted, caller(), { path: "", use: "copy" });
  return await templateKey({
    build,
    argv: launch.argv,
    files: [machine.program, machine.kernel, machine.initramfs],
    user: caller().uid,
    processor: machine.found.accelerator === "tcg" ? "" : await processor(),
    preparation: preparation(plan, TEMPLATE_MODULES),
    entries: entries.early,
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

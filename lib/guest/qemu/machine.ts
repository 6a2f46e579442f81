/**
 * What every guest on this machine starts with: which QEMU, what runs the guest's code, and the files
 * that it boots from.
 *
 * @module
 */
import { execFile } from "node:child_process";
import process from "node:process";
import { CHILD_ENV } from "../../base/child_env.ts";
import { type AcceleratorFinding, type AcceleratorHost, findAccelerator } from "./accelerator.ts";
import type { Architecture } from "./args.ts";
import type { QemuPlatform } from "./platform.ts";
import { findQemu } from "./program.ts";

/** What every guest on this machine starts with. */
export interface Machine {
  readonly architecture: Architecture;
  readonly platform: QemuPlatform;
  /** Path of QEMU. */
  readonly program: string;
  readonly found: AcceleratorFinding;
  readonly launcher: string;
  readonly kernel: string;
  readonly initramfs: string;
  /** Of the host's time stamp counter, where an emulated guest has to be told; else 0. */
  readonly tscKHz: number;
}

/** One whose counter is still being measured, which takes as long as all else that is found out of it. */
export interface FoundMachine extends Omit<Machine, "tscKHz"> {
  /** What {@link Machine.tscKHz} is going to be; it never rejects. */
  readonly counter: Promise<number>;
}

/** The machine, once its counter is known. */
export async function measured({ counter, ...machine }: FoundMachine): Promise<Machine> {
  return { ...machine, tscKHz: await counter };
}

/**
 * Finds out; needs nothing of the guest, so it can go on beside other preparations. QEMU is not taken
 * from directories that are distrusted, because the guest can write to them.
 *
 * @throws SbxError REQUIREMENT_MISSING, FILE_UNREADABLE
 */
export async function findMachine(
  host: AcceleratorHost,
  distrusted: readonly string[] = [],
): Promise<FoundMachine> {
  const architecture = ownArchitecture();
  const { platform } = host;
  const program = findQemu(architecture, platform, distrusted);
  const assets = [
    host.assetPath("netstack"),
    host.assetPath("vmlinux"),
    host.assetPath("initramfs"),
  ] as const;
  const finding = findAccelerator(architecture, host, program);
  // The failure of one must not leave another half unpacked.
  await Promise.allSettled([...assets, finding]);
  const [launcher, kernel, initramfs, found] = await Promise.all([...assets, finding]);
  const emulated = found.accelerator === "tcg";
  return {
    architecture,
    platform,
    program,
    found,
    launcher,
    kernel,
    initramfs,
    counter: emulated ? tscKHz(launcher) : Promise.resolve(0),
  };
}

/** Guests have the architecture of their host. */
export function ownArchitecture(): Architecture {
  return process.arch === "arm64" ? "arm64" : "x64";
}

function tscKHz(launcher: string): Promise<number> {
  return new Promise((resolve) => {
    execFile(
      launcher,
      ["tsc"],
      { env: CHILD_ENV },
      (error, stdout) => resolve(error === null ? Number(stdout) || 0 : 0),
    );
  });
}

/**
 * QEMU as a process that has a guest of Lima's. Its monitor and its cable are inherited sockets; it leads
 * a session of its own, and the kernel ends it with this process.
 *
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { access, readFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import type { Duplex } from "node:stream";
import { CHILD_ENV } from "../../base/child_env.ts";
import { SbxError } from "../../base/errors.ts";
import type { Exit } from "../../guest/guest.ts";
import { FRAMES_FD, type LimaBoot, type LimaMachine, MONITOR_FD } from "../../guest/lima/args.ts";
import type { LimaProcess } from "../../guest/lima/guest.ts";
import type { LimaInstance } from "../../guest/lima/instance.ts";
import { findAccelerator } from "../../guest/qemu/accelerator.ts";
import { ownArchitecture } from "../../guest/qemu/machine.ts";
import { Monitor } from "../../guest/qemu/monitor.ts";
import { findQemu } from "../../guest/qemu/program.ts";
import { bootId } from "../caller.ts";
import { cacheDir } from "../paths.ts";
import { qemuPlatform } from "../qemu_platform.ts";
import { Tail } from "../socket_channel.ts";
import { noMoreProcesses } from "../spawn_failure.ts";
import { usableAsset } from "../usable_asset.ts";

export { ownArchitecture };

/** Finds QEMU and what runs guests here. @throws SbxError REQUIREMENT_MISSING, FILE_UNREADABLE */
export async function findLimaMachine(notice: (line: string) => void): Promise<LimaMachine> {
  if (process.platform !== "linux") {
    throw new SbxError(
      "REQUIREMENT_MISSING",
      "Cannot run Lima's guests: this system cannot show what QEMU has of the network",
      { hint: "run Lima with sbx on Linux" },
    );
  }
  const architecture = ownArchitecture();
  const platform = qemuPlatform();
  const program = findQemu(architecture, platform);
  const assetPath = (name: Parameters<typeof usableAsset>[0]) => usableAsset(name, notice);
  const host = { assetPath, cacheDir, platform, bootId };
  const { accelerator, reason } = await findAccelerator(architecture, host, program);
  if (accelerator === "tcg") notice(`the guest is emulated, which is slower: ${reason}`);
  return { program, architecture, accelerator };
}

export interface LimaLaunch {
  /** The netstack binary, whose `launch` gives up privileges and becomes QEMU. */
  readonly launcher: string;
  /** QEMU and its arguments. */
  readonly argv: readonly string[];
  readonly framesFd: number;
}

/**
 * Starts QEMU, in a network namespace without anything where this user may make one.
 *
 * @throws SbxError GUEST_START
 */
export function spawnLima({ launcher, argv, framesFd }: LimaLaunch): LimaProcess {
  // Lima keeps what its instances boot from, and their disks, wherever its user wants.
  const options = ["--keep", String(FRAMES_FD), "--parent", String(process.pid), "--writes", "/"];
  const [command = "", ...args] = [
    ...emptyNetwork(),
    launcher,
    "launch",
    ...options,
    "--",
    ...argv,
  ];
  const tail = new Tail();
  const child: ChildProcess = spawn(command, args, {
    stdio: ["ignore", "pipe", "pipe", "pipe", framesFd],
    env: CHILD_ENV,
    detached: true,
  });
  child.on("error", () => {}); // a child that did not start has no streams, which says it below
  const monitor = child.stdio?.[MONITOR_FD];
  if (monitor === undefined || monitor === null || child.pid === undefined) {
    throw noMoreProcesses("QEMU");
  }
  const console = new ReadableStream<Uint8Array>({
    start(reader) {
      child.stdout?.on("data", (bytes: Uint8Array) => {
        tail.push(bytes);
        reader.enqueue(bytes);
      });
      child.stdout?.once("close", () => reader.close());
    },
  });
  child.stderr?.on("data", (bytes: Uint8Array) => tail.push(bytes));
  const { promise: exited, resolve } = Promise.withResolvers<Exit>();
  child.once("exit", (code, signal) => resolve({ code, signal }));
  return {
    pid: child.pid,
    monitor: new Monitor(monitor as Duplex),
    console,
    consoleTail: () => tail.text,
    exited,
    kill: () => void child.kill("SIGKILL"),
  };
}

/** util-linux's unshare becomes what it runs, so that QEMU stays this process's child. */
const EMPTY_NETWORK = ["unshare", "--user", "--map-current-user", "--net", "--"];

/** Kernels and containers can forbid users namespaces of their own. */
function emptyNetwork(): readonly string[] {
  const [command = "", ...args] = [...EMPTY_NETWORK, "true"];
  return spawnSync(command, args, { env: CHILD_ENV }).status === 0 ? EMPTY_NETWORK : [];
}

/**
 * What the instance boots from: the kernel that Lima fetched for it, or its image by firmware.
 *
 * @throws SbxError REQUIREMENT_MISSING when there is no UEFI firmware
 */
export async function findLimaBoot(
  { dir, config }: LimaInstance,
  { architecture, program }: LimaMachine,
): Promise<LimaBoot> {
  if (await isThere(join(dir, "kernel"))) {
    const commandLine = await readFile(join(dir, "kernel.cmdline"), "utf8").catch(() => "");
    return {
      by: "kernel",
      commandLine: commandLine.trim(),
      initrd: await isThere(join(dir, "initrd")),
    };
  }
  if (config.firmware?.legacyBIOS === true && architecture === "x64") return { by: "bios" };
  for (const firmware of UEFI[architecture](join(dirname(program), "../share"))) {
    if (await isThere(firmware)) return { by: "uefi", firmware };
  }
  throw new SbxError("REQUIREMENT_MISSING", "Cannot boot the guest: there is no UEFI firmware", {
    hint: architecture === "x64"
      ? "install the package ovmf (edk2-ovmf), or set firmware.legacyBIOS: true"
      : "install the package qemu-efi-aarch64 (edk2-aarch64)",
  });
}

/** Where distributions, and QEMU itself, put it. */
const UEFI = {
  x64: (share: string) => [
    `${share}/OVMF/OVMF_CODE_4M.fd`,
    `${share}/OVMF/OVMF_CODE.fd`,
    `${share}/edk2/x64/OVMF_CODE.4m.fd`,
    `${share}/edk2/ovmf/OVMF_CODE.fd`,
    `${share}/qemu/edk2-x86_64-code.fd`,
  ],
  arm64: (share: string) => [
    `${share}/AAVMF/AAVMF_CODE.fd`,
    `${share}/edk2/aarch64/QEMU_EFI-pflash.raw`,
    `${share}/qemu/edk2-aarch64-code.fd`,
  ],
};

function isThere(path: string): Promise<boolean> {
  return access(path).then(() => true, () => false);
}

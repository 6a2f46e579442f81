/**
 * The same machine, kernel and first file system as sbx starts, with an init that only ends it: what a
 * start costs before sbx has done anything.
 *
 * @module
 */
import { execFileSync, spawn } from "node:child_process";
import { closeSync, existsSync, openSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { LINK } from "../../lib/base/link.ts";
import { AGENT_FD, FIRST_FILE_FD, FRAMES_FD, qemuArgv } from "../../lib/guest/qemu/args.ts";
import { findMachine, measured } from "../../lib/guest/qemu/machine.ts";
import { assetPath } from "../../lib/host/assets.ts";
import { bootId } from "../../lib/host/caller.ts";
import { LINUX_QEMU } from "../../lib/host/linux/qemu.ts";
import { cacheDir } from "../../lib/host/paths.ts";
import { DEFAULT_CPUS, DEFAULT_MEMORY_MIB } from "../../lib/sandbox/options.ts";
import { buildGo } from "../../test/support/build.ts";
import { ROOT } from "../../test/support/world.ts";

/** Prepares; what it answers boots the guest and resolves to how many milliseconds it lived. */
export async function bareGuest(): Promise<() => Promise<number>> {
  const found = await findMachine({ assetPath, cacheDir, platform: LINUX_QEMU, bootId });
  const machine = await measured(found);
  const initramfs = join(ROOT, ".cache/bench/initramfs");
  const packer = join(ROOT, "scripts/initramfs.ts");
  const kernel = join(ROOT, ".cache/kernel", process.arch);
  execFileSync(process.execPath, [packer, kernel, buildGo("poweroff"), initramfs]);
  const [program = "", ...argv] = qemuArgv({
    architecture: machine.architecture,
    accelerator: machine.found.accelerator,
    filtersCalls: true,
    cpus: DEFAULT_CPUS,
    memoryMiB: DEFAULT_MEMORY_MIB,
    kernel: `/dev/fd/${FIRST_FILE_FD}`,
    initramfs: `/dev/fd/${FIRST_FILE_FD + 1}`,
    tscKHz: machine.tscKHz,
    agentFd: AGENT_FD,
    shares: ["/usr", "/opt"].filter((path) => existsSync(path)).map((path, index) => ({
      tag: `tree${index}`,
      path,
      readOnly: true,
    })),
    network: { cable: { fd: FRAMES_FD }, mac: LINK.guest.mac },
  });
  return () => boot(program, argv, [machine.kernel, initramfs]);
}

function boot(program: string, argv: string[], files: readonly string[]): Promise<number> {
  const opened = files.map((path) => openSync(path, "r"));
  const began = performance.now();
  const child = spawn(program, argv, {
    stdio: ["ignore", "pipe", "inherit", "pipe", "pipe", ...opened],
  });
  for (const fd of opened) closeSync(fd);
  let said = "";
  child.stdout?.on("data", (bytes) => said += bytes);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => {
      if (status === 0) resolve(performance.now() - began);
      else reject(new Error(`the bare guest ended with ${status}: ${said.slice(-500)}`));
    });
  });
}

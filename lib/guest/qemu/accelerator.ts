/**
 * Which accelerator really runs guests here. Opening /dev/kvm proves nothing: nested hosts exist that
 * open it, even run real-mode code, and fail at the first exception in long mode. So a 64 KiB
 * firmware enters long mode, works, takes an int3 and leaves through the debug-exit device.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { access, constants, readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { CHILD_ENV } from "../../base/child_env.ts";
import { escapeText } from "../../base/escape.ts";
import { type Accelerator, type Architecture, qemuProgram } from "./args.ts";
import type { QemuHost } from "./launch.ts";
import { remember } from "./remembered.ts";

/** What the probe found. */
export interface AcceleratorFinding {
  readonly accelerator: Accelerator;
  /** Why not a faster one; empty when there is none faster. */
  readonly reason: string;
}

/**
 * Real mode → page tables (one 2 MiB identity page) → long mode → 100,000 turns of a loop → int3, whose
 * handler writes 0x10 to port 0xf4: QEMU exits with (0x10 << 1) | 1 = 33. At 0xFFF0 stands the
 * reset vector's far jump.
 */
const PROBE_CODE =
  "fa31c08ed88ec0fcbf0010b90018f3ab66c70600100320000066c70600200330000066c706003083" +
  "000000b800f08ed8660f0116f8000f20e06683c8200f22e066b8001000000f22d866b9800000c00f32660d000100000f" +
  "300f20c0660d010000800f22c066ea6d000f00080066b810008ed88ec08ed0bc00800000b8d5000f00bf304000006689" +
  "0766c74702080066c74704008ec1e810894706c7470a0000000066c7470e000066c7042500500000ff0348c704250250" +
  "0000004000000f011c2500500000b9a0860100ffc975fcccb012e6f4f4b010e6f4f4ebfd8db400000000000000000000" +
  "ffff0000009aaf00ffff00000092cf001700e0000f000000";
const PROBE_SUCCESS = 33;

/** A good probe takes 30 ms; a broken one hangs. */
const PROBE_LIMIT_MS = 1_500;

/** The firmware image. */
export function probeImage(): Uint8Array {
  const image = new Uint8Array(0x10000);
  image.set(Buffer.from(PROBE_CODE, "hex"));
  image.set([0xea, 0x00, 0x00, 0x00, 0xf0], 0xfff0);
  return image;
}

/** Probes, or reads what an earlier run on this boot of the host found. */
export async function findAccelerator(
  architecture: Architecture,
  host: Pick<QemuHost, "assetPath" | "cacheDir">,
  program: string = qemuProgram(architecture),
): Promise<AcceleratorFinding> {
  if (architecture !== "x64") return await withoutProbe();
  try {
    await access("/dev/kvm", constants.R_OK | constants.W_OK);
  } catch (error) {
    const missing = error instanceof Error && "code" in error && error.code === "ENOENT";
    return {
      accelerator: "tcg",
      reason: missing ? "this machine has no /dev/kvm" : "this user may not open /dev/kvm",
    };
  }
  // Where the system does not say which boot this is, as in some sandboxes, every run finds out anew.
  const boot = await readFile("/proc/sys/kernel/random/boot_id", "utf8").catch(() => null);
  if (boot === null) return await probe(program, await host.assetPath("netstack"), host.cacheDir());
  const cached = join(host.cacheDir(), `accelerator-${boot.trim()}.json`);
  const known = await readFile(cached, "utf8").then(parseFinding, () => null);
  if (known !== null) return known;
  const finding = await probe(program, await host.assetPath("netstack"), host.cacheDir());
  await remember(cached, JSON.stringify(finding));
  return finding;
}

/** On arm64 no broken KVM is known that opens; on others than Linux there is only emulation. */
async function withoutProbe(): Promise<AcceleratorFinding> {
  const usable = await access("/dev/kvm", constants.R_OK | constants.W_OK).then(
    () => true,
    () => false,
  );
  return usable
    ? { accelerator: "kvm", reason: "" }
    : { accelerator: "tcg", reason: "/dev/kvm cannot be opened" };
}

function parseFinding(text: string): AcceleratorFinding | null {
  try {
    const { accelerator, reason } = JSON.parse(text);
    const fits = (accelerator === "kvm" || accelerator === "tcg") && typeof reason === "string";
    return fits ? { accelerator, reason: escapeText(reason) } : null;
  } catch {
    return null;
  }
}

async function probe(
  program: string,
  launcher: string,
  cacheDir: string,
): Promise<AcceleratorFinding> {
  const image = join(cacheDir, "kvm-probe.bin");
  await remember(image, probeImage());
  const works = await runProbe(program, launcher, image).catch(() => false);
  return works
    ? { accelerator: "kvm", reason: "" }
    : { accelerator: "tcg", reason: "/dev/kvm opens but cannot run a guest" };
}

/**
 * By the launcher, because a guest that hangs must not outlive us; from a descriptor, because without
 * capabilities even root need not be able to walk to the image.
 */
async function runProbe(
  program: string,
  launcher: string,
  path: string,
): Promise<boolean> {
  const image = openSync(path, "r");
  const argv = ["launch", "--keep", "3", "--parent", String(process.pid)];
  argv.push("--reads", "/dev/fd/3", "--", program);
  argv.push("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot");
  argv.push("-M", "microvm", "-accel", "kvm", "-m", "16", "-bios", "/dev/fd/3");
  argv.push("-device", "isa-debug-exit,iobase=0xf4,iosize=0x04");
  return await new Promise((resolve) => {
    const child = spawn(launcher, argv, {
      stdio: ["ignore", "ignore", "pipe", image],
      env: CHILD_ENV,
    });
    closeSync(image);
    const limit = setTimeout(() => child.kill("SIGKILL"), PROBE_LIMIT_MS);
    child.stderr?.once("data", () => child.kill("SIGKILL")); // "KVM internal error", then it hangs
    child.once("error", () => resolve(false));
    child.once("close", (code) => {
      clearTimeout(limit);
      resolve(code === PROBE_SUCCESS);
    });
  });
}

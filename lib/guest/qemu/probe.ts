/**
 * A guest that tells whether an accelerator really runs guests here. Opening /dev/kvm proves nothing: nested
 * hosts exist that open it, even run real-mode code, and fail at the first exception in long mode.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { CHILD_ENV } from "../../base/child_env.ts";
import type { Accelerator, Architecture } from "./args.ts";
import type { QemuPlatform } from "./platform.ts";
import { remember } from "./remembered.ts";

/**
 * Real mode → page tables (one 2 MiB identity page) → long mode → 100,000 turns of a loop → int3, whose
 * handler writes 0x10 to port 0xf4: QEMU exits with (0x10 << 1) | 1 = 33. At 0xFFF0 stands the
 * reset vector's far jump.
 */
const X64_CODE =
  "fa31c08ed88ec0fcbf0010b90018f3ab66c70600100320000066c70600200330000066c706003083" +
  "000000b800f08ed8660f0116f8000f20e06683c8200f22e066b8001000000f22d866b9800000c00f32660d000100000f" +
  "300f20c0660d010000800f22c066ea6d000f00080066b810008ed88ec08ed0bc00800000b8d5000f00bf304000006689" +
  "0766c74702080066c74704008ec1e810894706c7470a0000000066c7470e000066c7042500500000ff0348c704250250" +
  "0000004000000f011c2500500000b9a0860100ffc975fcccb012e6f4f4b010e6f4f4ebfd8db400000000000000000000" +
  "ffff0000009aaf00ffff00000092cf001700e0000f000000";

/** 100,000 turns of a loop, and PSCI's SYSTEM_OFF (0x84000008) by a call of the hypervisor: QEMU ends well. */
const ARM64_CODE = "01d490d22100a0f2210400f1e1ffff54000180520080b072020000d47f2003d5ffffff17";

interface ProbeGuest {
  /** The firmware of its machine. */
  readonly image: Uint8Array;
  readonly argv: readonly string[];
  /** Status with which QEMU ends when it has done its work. */
  readonly success: number;
}

/** The guest of a probe, as QEMU is told; `image` is the path of its firmware. */
export function probeGuest(
  architecture: Architecture,
  accelerator: Accelerator,
  image: string,
): ProbeGuest {
  const all = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-bios", image];
  const cpu = accelerator === "hvf" ? ["-cpu", "host"] : [];
  const by = ["-accel", accelerator, ...cpu];
  if (architecture === "arm64") {
    const model = accelerator === "tcg" ? ["-cpu", "max"] : [];
    return {
      image: Buffer.from(ARM64_CODE, "hex"),
      argv: [...all, "-M", "virt", ...by, ...model, "-m", "64"],
      success: 0,
    };
  }
  const kind = accelerator === "hvf" ? "q35" : "microvm";
  return {
    image: x64Image(),
    argv: [
      ...[...all, "-M", kind, ...by, "-m", "16"],
      ...["-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"],
    ],
    success: 33,
  };
}

/** 64 KiB of firmware. */
function x64Image(): Uint8Array {
  const image = new Uint8Array(0x10000);
  image.set(Buffer.from(X64_CODE, "hex"));
  image.set([0xea, 0x00, 0x00, 0x00, 0xf0], 0xfff0);
  return image;
}

/** Where it is inherited. */
const IMAGE_FD = 3;

/** A good probe takes 30 ms; a broken KVM hangs. macOS looks at a program for seconds when it runs first. */
const LIMIT_MS = { kvm: 1_500, hvf: 15_000, tcg: 60_000 } as const;

export interface ProbeSpec {
  /** Path of QEMU. */
  readonly program: string;
  /** That of netstack: a guest that hangs must not outlive us. */
  readonly launcher: string;
  readonly architecture: Architecture;
  readonly accelerator: Accelerator;
  readonly platform: QemuPlatform;
  /** Where the firmware is put. */
  readonly cacheDir: string;
}

/** Null: it works. Else what QEMU said first, which may be nothing. */
export async function probe(spec: ProbeSpec): Promise<string | null> {
  const { program, launcher, architecture, accelerator, platform, cacheDir } = spec;
  const path = join(cacheDir, `${accelerator}-probe.bin`);
  // From a descriptor, because without capabilities even root need not be able to walk to the image.
  const shown = platform.openFiles === undefined ? path : `${platform.openFiles}/${IMAGE_FD}`;
  const guest = probeGuest(architecture, accelerator, shown);
  await remember(path, guest.image);
  const image = openSync(path, "r");
  const argv = ["launch", "--keep", String(IMAGE_FD), "--parent", String(process.pid)];
  argv.push("--reads", shown, "--", program, ...guest.argv);
  return await new Promise((resolve) => {
    const child = spawn(launcher, argv, {
      stdio: ["ignore", "ignore", "pipe", image],
      env: CHILD_ENV,
    });
    closeSync(image);
    let said = "";
    const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS[accelerator]);
    child.stderr?.on("data", (bytes: Uint8Array) => {
      said += Buffer.from(bytes.subarray(0, 1000)).toString("latin1");
      if (accelerator === "kvm") child.kill("SIGKILL"); // "KVM internal error", then it hangs
    });
    child.once("error", (error) => resolve(error.message));
    child.once("close", (code) => {
      clearTimeout(limit);
      resolve(code === guest.success ? null : said.trim().split("\n")[0] ?? "");
    });
  });
}

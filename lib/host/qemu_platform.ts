/**
 * What QEMU has of the system that this process runs on.
 *
 * @module
 */
import type { QemuPlatform } from "../guest/qemu/platform.ts";
import { LINUX_QEMU } from "./linux/qemu.ts";
import { MAC_QEMU } from "./macos/qemu.ts";
import { ownSystem } from "./own_system.ts";

export function qemuPlatform(): QemuPlatform {
  return ownSystem().name === "macOS" ? MAC_QEMU : LINUX_QEMU;
}

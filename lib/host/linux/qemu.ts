/**
 * What QEMU has of Linux.
 *
 * @module
 */
import process from "node:process";
import type { QemuPlatform } from "../../guest/qemu/platform.ts";

const PACKAGE = process.arch === "arm64" ? "qemu-system-arm" : "qemu-system-x86";

export const LINUX_QEMU: QemuPlatform = {
  system: "Linux",
  hypervisor: "kvm",
  places: [],
  install: `on Debian and Ubuntu with 'apt-get install ${PACKAGE}'`,
  // /dev/fd is a link that a bare /dev lacks.
  openFiles: "/proc/self/fd",
  filtersCalls: true,
  hasFileDaemons: true,
  hasTemplates: true,
  hasOtherUsers: true,
};

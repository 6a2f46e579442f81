/**
 * What QEMU has of macOS.
 *
 * @module
 */
import type { QemuPlatform } from "../../guest/qemu/platform.ts";

export const MAC_QEMU: QemuPlatform = {
  system: "macOS",
  hypervisor: "hvf",
  // Of Homebrew on Apple's processors and on Intel's, and of MacPorts: programs that no shell has started, as an
  // editor, have none of them on their PATH.
  places: ["/opt/homebrew/bin", "/usr/local/bin", "/opt/local/bin"],
  install: "with 'brew install qemu'",
  filtersCalls: false,
  hasFileDaemons: false,
  hasTemplates: false,
  hasOtherUsers: false,
};

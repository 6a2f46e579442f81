/**
 * A template of Lima's for the Debian guest: what Lima cannot fetch where nothing leaves the machine is named by paths.
 *
 * @module
 */
import { chmodSync } from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import type { World } from "../world.ts";
import { makeDebianGuest, WITHOUT_CLOUD_INIT } from "./debian_guest.ts";

export function debianTemplate({ scratch }: World): Readonly<Record<string, unknown>> {
  const guest = makeDebianGuest();
  /** Where Lima's user can read it. */
  const copy = (path: string) => {
    const to = join(scratch, basename(path));
    Bun.spawnSync(["cp", "--sparse=always", path, to]);
    chmodSync(to, 0o644);
    return to;
  };
  return {
    memory: "1GiB",
    cpus: 2,
    disk: "4GiB",
    firmware: { legacyBIOS: true },
    user: { name: "tester", uid: 1234 },
    images: [{
      location: copy(join(guest.key, "../disk")),
      arch: process.arch === "arm64" ? "aarch64" : "x86_64",
      kernel: {
        location: copy(guest.kernel),
        cmdline: guest.commandLine.replace(WITHOUT_CLOUD_INIT, ""),
      },
      initrd: { location: copy(join(guest.key, "../initrd")) },
    }],
  };
}

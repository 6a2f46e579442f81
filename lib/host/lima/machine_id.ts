/**
 * What tells this machine from others.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";

/** As Lima finds it. */
export function machineId(): string {
  for (const path of ["/etc/machine-id", "/var/lib/dbus/machine-id"]) {
    try {
      const id = readFileSync(path, "utf8").trim();
      if (id !== "") return id;
    } catch {
      // The next place, or the host's name.
    }
  }
  return hostname();
}

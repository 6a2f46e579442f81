/**
 * What tells this machine from others, as Lima finds it: the address of a guest's card is made of it.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import process from "node:process";

/** The first of these that is there counts, whatever it holds. */
const FILES = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/** Says of the machine itself, as a property list, what the kernel's registry of devices has. */
const IOREG = ["/usr/sbin/ioreg", "-a", "-d2", "-c", "IOPlatformExpertDevice"] as const;
const IOREG_MS = 10_000;

/** The id; where there is none, the host's name. */
export function machineId(): string {
  const id = process.platform === "darwin" ? platformUuid(ioreg()) : firstOf(FILES);
  return id === undefined || id === "" ? hostname() : id;
}

export function firstOf(files: readonly string[]): string | undefined {
  for (const path of files) {
    try {
      return readFileSync(path, "utf8").trim();
    } catch {
      // The next place.
    }
  }
  return undefined;
}

/** IOPlatformUUID of ioreg's property list. */
export function platformUuid(list: string): string | undefined {
  return /<key>IOPlatformUUID<\/key>\s*<string>([^<]*)<\/string>/.exec(list)?.[1];
}

function ioreg(): string {
  const [program, ...argv] = IOREG;
  try {
    const stdio: ["ignore", "pipe", "ignore"] = ["ignore", "pipe", "ignore"];
    return execFileSync(program, argv, { encoding: "utf8", timeout: IOREG_MS, stdio });
  } catch {
    return "";
  }
}

/**
 * Which of Lima's drivers runs a guest.
 *
 * @module
 */
import { OWN_DRIVERS, type OwnDriver } from "../../api/lima.ts";
import { SbxError } from "../../mod.ts";
import { usage } from "../values.ts";

/** sbx's own, which Lima runs as any other. */
export const DRIVER = "sbx";

export type Driver = typeof DRIVER | OwnDriver;

const DRIVERS: readonly Driver[] = [DRIVER, ...OWN_DRIVERS];

/** Of a guest that is made when nobody says. @throws SbxError USAGE where none was ever run */
export function defaultDriver(platform: string): Driver {
  if (platform !== "darwin") return DRIVER;
  throw new SbxError(
    "USAGE",
    "Cannot make a guest of Lima's: macOS has no driver for it by default",
    {
      hint: "add --driver vz, which is an experiment: it was never run on a Mac",
    },
  );
}

/** Undefined: nobody says. @throws SbxError USAGE, as for a QEMU of which nobody could prove anything */
export function driverNamed(word: string | undefined, platform: string): Driver | undefined {
  if (word === undefined) return undefined;
  const driver = DRIVERS.find((name) => name === word);
  if (driver === undefined) {
    throw usage("--driver", word, "not a driver of Lima's", `use one of ${DRIVERS.join(", ")}`);
  }
  const isMac = platform === "darwin";
  if (driver === "vz" && !isMac) {
    throw usage("--driver", word, "only macOS has it", "leave it out, or use qemu");
  }
  if (driver !== "vz" && isMac) {
    throw usage("--driver", word, "sbx can look into a QEMU on Linux only", "use vz");
  }
  return driver;
}

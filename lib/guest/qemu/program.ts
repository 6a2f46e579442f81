/**
 * Which programs of this machine run: the first on the PATH that no guest can have put there. Scripts and environments put
 * directories of a project first on the PATH, and projects are what guests are given to write to.
 *
 * @module
 */
import { accessSync, constants, realpathSync, statSync } from "node:fs";
import { isAbsolute, join } from "node:path";
import process from "node:process";
import { SbxError } from "../../base/errors.ts";
import { escapeText } from "../../base/escape.ts";
import { type Architecture, qemuProgram } from "./args.ts";
import type { QemuPlatform } from "./platform.ts";

/** QEMU before 7.2 has no stream network backend, which carries the guest's frames. */
export const OLDEST_QEMU = [7, 2] as const;

/** What to do where there is no QEMU, or an old one. */
export function installQemu({ install }: QemuPlatform): string {
  return `install QEMU ${OLDEST_QEMU.join(".")} or newer: ${install}`;
}

/** Where it is, or why there is none that may be used. */
export type ProgramFinding =
  | { readonly path: string }
  /** `passedOver`: there is one that must not run. */
  | { readonly missing: string; readonly passedOver?: true };

/**
 * Directories of `distrusted`, absolute and without links, and of the working directory are passed
 * over, with all below them.
 */
export function lookForQemu(
  architecture: Architecture,
  { places }: QemuPlatform,
  distrusted: readonly string[] = [],
  path = process.env["PATH"] ?? "",
): ProgramFinding {
  const program = qemuProgram(architecture);
  const found = lookForProgram(program, [...path.split(":"), ...places], distrusted);
  if ("path" in found || found.passedOver || places.length === 0) return found;
  return { missing: `${program} is neither on the PATH nor in ${places.join(", ")}` };
}

/** The same for any program, in directories of which relative ones are passed over. */
export function lookForProgram(
  program: string,
  directories: readonly string[],
  distrusted: readonly string[],
): ProgramFinding {
  const avoided = [...distrusted, ...workingDirectory()];
  let passedOver: string | undefined;
  for (const directory of directories) {
    if (!isAbsolute(directory)) continue;
    const found = executable(join(directory, program));
    if (found === null) continue;
    const real = realpathSync(directory);
    if (!avoided.some((avoid) => isBelow(real, avoid) || isBelow(found, avoid))) {
      return { path: join(directory, program) };
    }
    passedOver ??= directory;
  }
  if (passedOver === undefined) return { missing: `${program} is not on the PATH` };
  const where = escapeText(passedOver);
  return {
    missing: `${program} is only in ${where}, where a guest could have put it`,
    passedOver: true,
  };
}

/**
 * The path of QEMU, by the same rules.
 *
 * @throws SbxError REQUIREMENT_MISSING
 */
export function findQemu(
  architecture: Architecture,
  platform: QemuPlatform,
  ...where: readonly [distrusted?: readonly string[], path?: string]
): string {
  const found = lookForQemu(architecture, platform, ...where);
  if ("path" in found) return found.path;
  throw new SbxError("REQUIREMENT_MISSING", `Cannot start a guest: ${found.missing}`, {
    hint: installQemu(platform),
  });
}

/** What the path leads to, if that can be executed. */
function executable(path: string): string | null {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile() ? realpathSync(path) : null;
  } catch {
    return null;
  }
}

/** Below the root and /usr is what the system installed, wherever somebody stands. */
function workingDirectory(): string[] {
  try {
    const directory = process.cwd();
    return /^\/(?:usr(?:\/|$)|$)/.test(directory) ? [] : [directory];
  } catch {
    return []; // it was removed
  }
}

function isBelow(path: string, directory: string): boolean {
  return path === directory || path.startsWith(`${directory}/`);
}

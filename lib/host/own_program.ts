/**
 * How sbx is started once more, by itself or by a program that uses it as a library.
 *
 * @module
 */
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath, URL } from "node:url";
import process from "node:process";
import { SbxError } from "../base/errors.ts";
import { installedBinary, platformPackage } from "./installed_binary.ts";

/** Names the binary that a program uses, in place of the one that is installed beside the library. */
const VARIABLE = "SBX_BINARY";

/**
 * Whether this process can do all by itself: it carries sbx's files or stands in a checkout, and its runtime has the
 * system's calls for locks. All others have the binary do it.
 */
export function isSbxItself(): boolean {
  if (isCompiled()) return true;
  return process.versions.bun !== undefined && existsSync(inCheckout("main.ts"));
}

function isCompiled(): boolean {
  return import.meta.url.includes("/$bunfs/");
}

/**
 * The compiled binary is itself, whatever the environment says. For a program it is the one that it names, or that
 * npm installed; in a checkout the runtime with main.ts, or what was built, where the runtime is another.
 *
 * @throws SbxError REQUIREMENT_MISSING
 */
export function ownProgram(): readonly [program: string, ...args: readonly string[]] {
  if (isCompiled()) return [process.execPath];
  const named = process.env[VARIABLE];
  if (named !== undefined && named !== "") return [usable(resolve(named))];
  const main = inCheckout("main.ts");
  if (existsSync(main)) {
    if (process.versions.bun !== undefined) return [process.execPath, main];
    const built = inCheckout("dist/sbx");
    if (existsSync(built)) return [built];
  }
  const installed = installedBinary();
  if (installed !== null) return [installed];
  throw new SbxError(
    "REQUIREMENT_MISSING",
    `Cannot find the binary of sbx: the package ${platformPackage()} is not installed`,
    {
      hint:
        `install without --omit=optional, on Linux or macOS, on x64 or arm64; or name the binary in ${VARIABLE}`,
    },
  );
}

function usable(path: string): string {
  if (existsSync(path)) return path;
  throw new SbxError("REQUIREMENT_MISSING", `Cannot find the binary of sbx: ${path} is missing`, {
    hint: `${VARIABLE} names it: set it to the path of sbx, or unset it`,
  });
}

function inCheckout(path: string): string {
  return fileURLToPath(new URL(`../../${path}`, import.meta.url));
}

/**
 * How this program starts itself once more.
 *
 * @module
 */
import { fileURLToPath, URL } from "node:url";
import process from "node:process";

/** The compiled binary; in a checkout, the runtime with main.ts. */
export function ownProgram(): readonly [program: string, ...args: readonly string[]] {
  if (import.meta.url.includes("/$bunfs/")) return [process.execPath];
  return [process.execPath, fileURLToPath(new URL("../../main.ts", import.meta.url))];
}

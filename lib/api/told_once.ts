/**
 * What is worth telling once on a machine, and not at every start.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { systemCode } from "../base/file_error.ts";
import { cacheDir } from "../host/paths.ts";

/**
 * Whether the line is told here for the first time, which it then was: an empty file in the cache, for
 * this line and this machine, is all that is kept. Of two at once one is the first. A cache that
 * cannot be written cannot remember, and everything is told again.
 */
export function isFirstTelling(line: string): boolean {
  const digest = createHash("sha256").update(`${machine()}\n${line}`).digest("hex").slice(0, 16);
  try {
    mkdirSync(cacheDir(), { recursive: true, mode: 0o755 });
    closeSync(openSync(join(cacheDir(), `told-${digest}`), "wx", 0o600));
    return true;
  } catch (error) {
    return systemCode(error) !== "EEXIST";
  }
}

/** A home can be the same on many machines; containers can have the identity of their image. */
function machine(): string {
  let id = "";
  try {
    id = readFileSync("/etc/machine-id", "utf8");
  } catch {
    // Not with systemd.
  }
  return `${id.trim()} ${hostname()}`;
}

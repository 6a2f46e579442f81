/**
 * What a process of this machine was started with.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";

/** Its program and arguments; null where there is no such process, or no way to know. */
export function argumentsOf(pid: number): readonly string[] | null {
  if (process.platform === "darwin") {
    // Arguments with blanks in them come apart.
    const { stdout, status } = spawnSync("/bin/ps", ["-ww", "-o", "args=", "-p", String(pid)]);
    return status === 0 ? stdout.toString().trim().split(" ") : null;
  }
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
  } catch {
    return null;
  }
}

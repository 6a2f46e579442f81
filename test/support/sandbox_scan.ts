/**
 * A scan of a sandbox while it runs: the memory of its machine and of everything else below sbx, what those
 * processes show of themselves, and the files and texts that a run leaves.
 *
 * @module
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { until } from "./process.ts";
import { familyOf } from "./process_memory.ts";
import { type Form, formsIn, type Hit, nameOf, scanFiles, scanProcess } from "./scan.ts";

/** Where guest and host meet: a directory that both see. The guest says that it is there, and waits. */
export const MEET = "echo >/meet/there; until [ -e /meet/done ]; do sleep 0.2; done";

export interface SandboxScan {
  /** What was looked at. */
  readonly processes: readonly string[];
  readonly hits: readonly Hit[];
}

/**
 * Scans everything below the sbx that has the directory among its arguments, once its guest waits there.
 *
 * sbx itself has the values: of it only what others see is looked at.
 */
export async function scanSandbox(
  meet: string,
  dirs: readonly string[],
  forms: readonly Form[],
): Promise<SandboxScan> {
  await until("a guest that waits", () => existsSync(`${meet}/there`), 850);
  const sbx = runOver(meet);
  const below = familyOf(sbx).slice(1);
  const hits = [
    ...formsIn(readFileSync(`/proc/${sbx}/cmdline`), forms).map((form) => ({
      where: "argv",
      form,
    })),
    ...below.flatMap((pid) => scanProcess(pid, forms)),
    ...dirs.flatMap((dir) => scanFiles(dir, forms)),
  ];
  return { processes: below.map(nameOf), hits };
}

/** The process of sbx: the first of those that were given the directory to mount. */
function runOver(meet: string): number {
  const pids = readdirSync("/proc").filter((name) => /^\d+$/.test(name)).map(Number);
  const sbx = pids.filter((pid) => {
    try {
      const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
      return argv.includes("run") && argv.some((word) => word.startsWith(`${meet}:`));
    } catch {
      return false; // It has ended.
    }
  });
  if (sbx.length === 0) throw new Error(`no sbx has ${meet}`);
  return Math.min(...sbx);
}

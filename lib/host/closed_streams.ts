/**
 * Which standard streams this process was started without (`>&-`). The runtime fills their places before
 * any of our code runs, so that no file that is opened later gets their numbers; what a command prints
 * would then be lost without a word.
 *
 * @module
 */
import { readFileSync, readlinkSync } from "node:fs";

/** Of open(2), as fdinfo shows them (proc_pid_fdinfo(5)). */
const O_RDWR = 0o2;
const O_CLOEXEC = 0o2000000;

/**
 * Numbers of the closed ones. What the runtime puts there is the null device, for reading and writing and
 * not to be inherited; whoever redirects to that device passes a descriptor that is inherited.
 */
export function closedStreams(): ReadonlySet<0 | 1 | 2> {
  return new Set(([0, 1, 2] as const).filter(isFilled));
}

function isFilled(fd: number): boolean {
  try {
    if (readlinkSync(`/proc/self/fd/${fd}`) !== "/dev/null") return false;
    const [, flags = "0"] = /^flags:\t([0-7]+)$/m.exec(
      readFileSync(`/proc/self/fdinfo/${fd}`, "utf8"),
    ) ?? [];
    const wanted = O_RDWR | O_CLOEXEC;
    return (Number.parseInt(flags, 8) & wanted) === wanted;
  } catch {
    return false; // without /proc nothing tells them apart
  }
}

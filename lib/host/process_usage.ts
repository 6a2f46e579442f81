/**
 * What processes of this machine use of it, as Linux's kernel tells. Elsewhere nothing is known.
 *
 * @module
 */
import { readFileSync } from "node:fs";

/** One process, with all of its threads. */
export interface ProcessUsage {
  /** Time on processors since its start, of the system's work for it as well, in milliseconds. */
  readonly cpuMs: number;
  /** What of that was spent as the processors of a guest under KVM. */
  readonly guestCpuMs: number;
  /** Memory that is its own or shared with others, in bytes. */
  readonly rssBytes: number;
  /** The same with what is shared divided among those who do. Absent: not for this user to know. */
  readonly pssBytes?: number;
}

/** Of `times` in /proc, on every machine that Linux runs on: USER_HZ is part of its interface. */
const TICK_MS = 10;

/** Fields of proc_pid_stat(5), counted from the state, which follows the name. */
const UTIME = 11;
const STIME = 12;
const GUEST_TIME = 40;

/** Null: there is no such process, or no way to know. */
export function processUsage(pid: number): ProcessUsage | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    // The name is in parentheses and may have any of these characters itself.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ").map(Number);
    const time = (at: number) => (fields[at] ?? 0) * TICK_MS;
    const pss = kibibytes(`/proc/${pid}/smaps_rollup`, "Pss");
    return {
      cpuMs: time(UTIME) + time(STIME),
      guestCpuMs: time(GUEST_TIME),
      rssBytes: kibibytes(`/proc/${pid}/status`, "VmRSS") ?? 0,
      ...(pss === undefined ? {} : { pssBytes: pss }),
    };
  } catch {
    return null;
  }
}

/** Processes that one has started and that still are its children, theirs among them. */
export function descendantsOf(pid: number): readonly number[] {
  const found = new Set<number>();
  const visit = (parent: number) => {
    for (const child of childrenOf(parent)) {
      if (found.has(child)) continue;
      found.add(child);
      visit(child);
    }
  };
  visit(pid);
  return [...found];
}

function childrenOf(pid: number): readonly number[] {
  try {
    const text = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1");
    return text.trim().split(" ").filter((word) => word !== "").map(Number);
  } catch {
    return [];
  }
}

/** A line like `Pss:  1234 kB`, in bytes. */
function kibibytes(path: string, name: string): number | undefined {
  try {
    const line = readFileSync(path, "latin1").split("\n").find((each) =>
      each.startsWith(`${name}:`)
    );
    const count = Number.parseInt(line?.slice(name.length + 1).trim() ?? "", 10);
    return Number.isNaN(count) ? undefined : count * 1024;
  } catch {
    return undefined;
  }
}

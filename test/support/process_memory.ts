/**
 * Processes from outside: who is whose child, and the memory of one. Takes root for processes that hide theirs.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { closeSync, openSync, readdirSync, readFileSync, readSync } from "node:fs";

export interface Piece {
  /** What the kernel calls the region. */
  readonly region: string;
  readonly bytes: Buffer;
}

const PAGE = 4096;
const PIECE = 4 << 20;

/**
 * All memory of a process that there is, region by region, in pieces that overlap by `overlap` bytes. Pages that
 * were never touched are left out: reading them would make them.
 */
export function* memoryOf(pid: number, overlap: number): Generator<Piece> {
  const memory = openSync(`/proc/${pid}/mem`, "r");
  const pagemap = openSync(`/proc/${pid}/pagemap`, "r");
  try {
    const maps = readFileSync(`/proc/${pid}/maps`, "utf8").trim().split("\n");
    for (const line of maps) {
      const [, from = "", to = "", rights = "", name = ""] =
        /^([0-9a-f]+)-([0-9a-f]+) (\S+) \S+ \S+ \S+\s*(.*)$/.exec(line) ?? [];
      // The kernel's own, which it does not show in this way.
      if (!rights.startsWith("r") || /^\[v/.test(name)) continue;
      const [start, end] = [parseInt(from, 16), parseInt(to, 16)];
      const region = name === "" ? `${(end - start) >> 20} MiB` : name;
      for (const run of presentIn(pagemap, start, end)) {
        for (let at = run.start; at < run.end; at += PIECE) {
          const bytes = Buffer.alloc(Math.min(PIECE + overlap, run.end - at));
          const count = readAt(memory, bytes, at);
          if (count > 0) yield { region, bytes: bytes.subarray(0, count) };
        }
      }
    }
  } finally {
    closeSync(pagemap);
    closeSync(memory);
  }
}

/** Runs of pages that are in memory or swapped out. */
function* presentIn(pagemap: number, start: number, end: number) {
  const pages = (end - start) / PAGE;
  const entries = Buffer.alloc(8 * Math.min(pages, 1 << 16));
  let from: number | null = null;
  for (let first = 0; first < pages; first += entries.length / 8) {
    const count = Math.floor(readAt(pagemap, entries, (start / PAGE + first) * 8) / 8);
    for (let page = 0; page < count; page++) {
      const at = start + (first + page) * PAGE;
      const there = first + page < pages && ((entries[page * 8 + 7] ?? 0) & 0xc0) !== 0;
      if (there) from ??= at;
      if (there || from === null) continue;
      yield { start: from, end: at };
      from = null;
    }
    if (count === 0) break;
  }
  if (from !== null) yield { start: from, end };
}

/** Zero where it cannot be read: a process may unmap what it had a moment ago. */
function readAt(fd: number, into: Buffer, at: number): number {
  try {
    return readSync(fd, into, 0, into.length, at);
  } catch {
    return 0;
  }
}

/** What of this machine's memory it has: now, or the most it ever had. NaN for one that has ended. */
export function residentMiB(pid: number, which: "now" | "peak" = "now"): number {
  const line = which === "now" ? /^VmRSS:\s+(\d+)/m : /^VmHWM:\s+(\d+)/m;
  return Number(line.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
}

/** A process and all below it. */
export function familyOf(pid: number): number[] {
  const parents = new Map<number, number[]>();
  for (const name of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${name}/stat`, "utf8");
      const parent = Number(/^\d+ \(.*\) \S (\d+)/s.exec(stat)?.[1]);
      parents.set(parent, [...(parents.get(parent) ?? []), Number(name)]);
    } catch {
      // It has ended.
    }
  }
  const below = (one: number): number[] => [one, ...(parents.get(one) ?? []).flatMap(below)];
  return below(pid);
}

/**
 * Processes as macOS has them: sysctl(3), and <libproc.h>.
 *
 * @module
 */
import { fstatSync, readdirSync, statSync } from "node:fs";
import process from "node:process";
import { split } from "../nul_strings.ts";
import { ALL_IDS, type StartStrings, type SystemProcesses } from "../system.ts";
import type { MacCalls } from "./libsystem.ts";

/** Names of sysctl(3). */
const CTL_KERN = 1;
const KERN_ARGMAX = 8;
const KERN_PROCARGS2 = 49;

/** A UUID that the kernel draws at each boot. */
const BOOT_SESSION = new TextEncoder().encode("kern.bootsessionuuid\0");

/** Of proc_listpids(). */
const PROC_PPID_ONLY = 6;

/** Of proc_pid_rusage(), whose `struct rusage_info_v2` begins with a UUID. */
const RUSAGE_INFO_V2 = 2;
const USAGE = { size: 512, user: 16, system: 24, resident: 64, start: 80, exit: 88 } as const;

/** Of getrlimit(2). */
const RLIMIT_CORE = 4;
const RLIMIT_NOFILE = 8;
const RLIM_INFINITY = (1n << 63n) - 1n;

/** Of fcntl(2). */
const F_GETFD = 1;
const F_GETFL = 3;
const FD_CLOEXEC = 1;
const O_ACCMODE = 3;
const O_RDWR = 2;

/** A process with more children is none of ours. */
const MOST_CHILDREN = 4096;

export function macProcesses(calls: () => MacCalls | null): SystemProcesses {
  return {
    argumentsOf: (pid) => startStrings(calls(), pid)?.arguments ?? null,
    ownStrings: () => startStrings(calls(), process.pid),
    usageOf(pid) {
      const usage = new Uint8Array(USAGE.size);
      const libc = calls();
      if (libc?.pidUsage(pid, RUSAGE_INFO_V2, usage) !== 0) return null;
      const fraction = new Uint32Array(2);
      const [numerator = 1, denominator = 1] = libc.timebase(fraction) === 0 ? fraction : [];
      const view = new DataView(usage.buffer);
      const field = (at: number) => Number(view.getBigUint64(at, true));
      const units = field(USAGE.user) + field(USAGE.system);
      return {
        cpuMs: Math.round(units * numerator / denominator / 1e6),
        guestCpuMs: 0, // not told apart
        rssBytes: field(USAGE.resident),
      };
    },
    startOf(pid) {
      const usage = new Uint8Array(USAGE.size);
      if (calls()?.pidUsage(pid, RUSAGE_INFO_V2, usage) !== 0) return null;
      const view = new DataView(usage.buffer);
      // Of one that waits to be collected nothing is left to signal. Not tried on a Mac.
      if (view.getBigUint64(USAGE.exit, true) !== 0n) return null;
      return `${view.getBigUint64(USAGE.start, true)}`;
    },
    childrenOf(pid) {
      const pids = new Int32Array(MOST_CHILDREN);
      const bytes = calls()?.listPids(PROC_PPID_ONLY, pid, pids) ?? 0;
      return [...pids.subarray(0, Math.max(0, bytes) / pids.BYTES_PER_ELEMENT)]
        .filter((child) => child > 0);
    },
    fileLimit() {
      const limit = new BigUint64Array(2);
      if (calls()?.getrlimit(RLIMIT_NOFILE, limit) !== 0) return { soft: Infinity, hard: Infinity };
      const [soft = RLIM_INFINITY, hard = RLIM_INFINITY] = limit;
      const count = (value: bigint) => value >= RLIM_INFINITY ? Infinity : Number(value);
      return { soft: count(soft), hard: count(hard) };
    },
    filesOpen: () => readdirSync("/dev/fd").length,
    rights: () => ({
      capabilities: process.geteuid?.() === 0 ? (1n << 64n) - 1n : 0n,
      uidMap: ALL_IDS,
      gidMap: ALL_IDS,
      setsGroups: true,
    }),
    bootId() {
      const value = new Uint8Array(64);
      const size = BigUint64Array.of(BigInt(value.length));
      if (calls()?.sysctlByName(BOOT_SESSION, value, size) !== 0) return null;
      const [text = new Uint8Array()] = split(value.subarray(0, Number(size[0])));
      // It becomes part of files' names.
      return /^[0-9A-Fa-f-]{1,64}$/.exec(new TextDecoder().decode(text))?.[0] ?? null;
    },
    /** By the limit on their size, which children inherit; there is no switch for what they hold. */
    withoutCoreDumps() {
      const limit = new BigUint64Array(2);
      if (calls()?.getrlimit(RLIMIT_CORE, limit) !== 0) return;
      limit[0] = 0n;
      calls()?.setrlimit(RLIMIT_CORE, limit);
    },
    /** It is there for reading and writing and not inherited; whoever redirects to it passes one that is. */
    isFilledIn(fd) {
      const libc = calls();
      if (libc === null) return false;
      try {
        const found = fstatSync(fd);
        if (!found.isCharacterDevice() || found.rdev !== statSync("/dev/null").rdev) return false;
      } catch {
        return false;
      }
      const [flags, status] = [libc.fcntl(fd, F_GETFD), libc.fcntl(fd, F_GETFL)];
      return flags >= 0 && (flags & FD_CLOEXEC) !== 0 && (status & O_ACCMODE) === O_RDWR;
    },
  };
}

/** Null where there is no such process, or it is not this user's. */
function startStrings(libc: MacCalls | null, pid: number): StartStrings | null {
  if (libc === null) return null;
  const most = new Uint8Array(4);
  const size = BigUint64Array.of(BigInt(most.length));
  if (libc.sysctl(Int32Array.of(CTL_KERN, KERN_ARGMAX), most, size) !== 0) return null;
  const room = new Uint8Array(new DataView(most.buffer).getInt32(0, true));
  size[0] = BigInt(room.length);
  const name = Int32Array.of(CTL_KERN, KERN_PROCARGS2, pid);
  if (libc.sysctl(name, room, size) !== 0) return null;
  return parseStart(room.subarray(0, Number(size[0])));
}

/**
 * What KERN_PROCARGS2 answers with: the number of arguments, the path of the program with NULs behind it up
 * to a boundary, the arguments, and the environment up to an empty string.
 */
export function parseStart(bytes: Uint8Array): StartStrings | null {
  if (bytes.length < 4) return null;
  const count = new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true);
  let at = bytes.indexOf(0, 4);
  if (at < 0 || count < 0) return null;
  while (bytes[at] === 0) at++;
  const strings = split(bytes.subarray(at));
  if (strings.length < count) return null;
  const rest = strings.slice(count);
  const end = rest.findIndex(({ length }) => length === 0);
  return {
    arguments: strings.slice(0, count),
    environment: end < 0 ? rest : rest.slice(0, end),
  };
}

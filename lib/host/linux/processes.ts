/**
 * Processes as Linux has them: proc(5).
 *
 * @module
 */
import { readdirSync, readFileSync, readlinkSync, writeFileSync } from "node:fs";
import { split } from "../nul_strings.ts";
import { ALL_IDS, type SystemProcesses } from "../system.ts";

/** Of `times` in /proc, on every machine that Linux runs on: USER_HZ is part of its interface. */
const TICK_MS = 10;

/** Fields of proc_pid_stat(5), counted from the state, which follows the name. */
const FIELD = { utime: 11, stime: 12, guestTime: 40, startTime: 19 } as const;

/** Of open(2), as fdinfo shows them (proc_pid_fdinfo(5)). */
const O_RDWR = 0o2;
const O_CLOEXEC = 0o2000000;

export const linuxProcesses: SystemProcesses = {
  argumentsOf: (pid) => strings(`/proc/${pid}/cmdline`),
  ownStrings() {
    const [argv, environment] = [strings("/proc/self/cmdline"), strings("/proc/self/environ")];
    return argv === null || environment === null ? null : { arguments: argv, environment };
  },
  usageOf(pid) {
    const fields = statOf(pid)?.map(Number);
    if (fields === undefined) return null;
    const time = (at: number) => (fields[at] ?? 0) * TICK_MS;
    const pss = kibibytes(`/proc/${pid}/smaps_rollup`, "Pss");
    return {
      cpuMs: time(FIELD.utime) + time(FIELD.stime),
      guestCpuMs: time(FIELD.guestTime),
      rssBytes: kibibytes(`/proc/${pid}/status`, "VmRSS") ?? 0,
      ...(pss === undefined ? {} : { pssBytes: pss }),
    };
  },
  /** In ticks since the boot. Of one that waits to be collected nothing is left to signal. */
  startOf(pid) {
    const fields = statOf(pid);
    return fields === null || fields[0] === "Z" ? null : fields[FIELD.startTime] ?? null;
  },
  childrenOf(pid) {
    const text = textOf(`/proc/${pid}/task/${pid}/children`) ?? "";
    return text.trim().split(" ").filter((word) => word !== "").map(Number);
  },
  fileLimit() {
    const row = /^Max open files +(\S+) +(\S+)/m.exec(textOf("/proc/self/limits") ?? "");
    const limit = (word = "unlimited") => word === "unlimited" ? Infinity : Number(word);
    return { soft: limit(row?.[1]), hard: limit(row?.[2]) };
  },
  filesOpen: () => readdirSync("/proc/self/fd").length,
  /** Where the kernel says nothing, root counts as the real one; a step that it cannot take then fails. */
  rights() {
    const effective = /^CapEff:\t([0-9a-f]+)$/m.exec(textOf("/proc/self/status") ?? "")?.[1];
    return {
      capabilities: effective === undefined ? (1n << 64n) - 1n : BigInt(`0x${effective}`),
      uidMap: textOf("/proc/self/uid_map") ?? ALL_IDS,
      gidMap: textOf("/proc/self/gid_map") ?? ALL_IDS,
      setsGroups: textOf("/proc/self/setgroups")?.trim() !== "deny",
    };
  },
  bootId: () => textOf("/proc/sys/kernel/random/boot_id")?.trim() || null,
  /** Whoever collects them; see core(5). */
  withoutCoreDumps() {
    try {
      writeFileSync("/proc/self/coredump_filter", "0");
    } catch {
      // a kernel built without core dumps
    }
  },
  /** It is there for reading and writing and not inherited; whoever redirects to it passes one that is. */
  isFilledIn(fd) {
    try {
      if (readlinkSync(`/proc/self/fd/${fd}`) !== "/dev/null") return false;
    } catch {
      return false;
    }
    const info = textOf(`/proc/self/fdinfo/${fd}`) ?? "";
    const flags = Number.parseInt(/^flags:\t([0-7]+)$/m.exec(info)?.[1] ?? "0", 8);
    return (flags & (O_RDWR | O_CLOEXEC)) === (O_RDWR | O_CLOEXEC);
  },
};

/** The fields of proc_pid_stat(5) from the state on; null where there is no such process. */
function statOf(pid: number): string[] | null {
  const stat = textOf(`/proc/${pid}/stat`);
  // The name is in parentheses and may have any of these characters itself.
  return stat?.slice(stat.lastIndexOf(")") + 2).split(" ") ?? null;
}

/** A line like `Pss:  1234 kB`, in bytes. */
function kibibytes(path: string, name: string): number | undefined {
  const line = textOf(path)?.split("\n").find((each) => each.startsWith(`${name}:`));
  const count = Number.parseInt(line?.slice(name.length + 1).trim() ?? "", 10);
  return Number.isNaN(count) ? undefined : count * 1024;
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return null;
  }
}

function strings(path: string): readonly Uint8Array[] | null {
  try {
    return split(readFileSync(path));
  } catch {
    return null;
  }
}

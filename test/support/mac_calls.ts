/**
 * The calls of macOS, made of Linux's own: constants and layouts are those of Apple's headers, what they are
 * done to is real. So tests of what stands on them find a wrong number or a wrong offset here, too.
 */
import { Buffer } from "node:buffer";
import { lstatSync, openSync, readdirSync, readFileSync, readlinkSync } from "node:fs";
import { linuxCalls } from "../../lib/host/linux/libc.ts";
import { linuxProcesses } from "../../lib/host/linux/processes.ts";
import { linuxSockets } from "../../lib/host/linux/sockets.ts";
import type { MacCalls } from "../../lib/host/macos/libsystem.ts";

const FAILED = -1;

/** <sys/unistd.h>: SEEK_HOLE, SEEK_DATA, by the numbers that Linux has for them. */
const WHENCE: Readonly<Record<number, number>> = { 3: 4, 4: 3 };

/** <sys/fcntl.h> */
const AT_FDCWD = -2;
const AT_SYMLINK_NOFOLLOW = 0x20;
const O_NOFOLLOW_ANY = 0x20000000;
/** <sys/stat.h> */
const UTIME_OMIT = -2n;
/** <sys/sysctl.h> */
const [CTL_KERN, KERN_ARGMAX, KERN_PROCARGS2] = [1, 8, 49];
const ARGMAX = 1 << 20;
/** <sys/resource.h> */
const RLIM_INFINITY = (1n << 63n) - 1n;
const RUSAGE_INFO_V2 = [
  ...["user_time", "system_time", "pkg_idle_wkups", "interrupt_wkups", "pageins", "wired_size"],
  ...["resident_size", "phys_footprint", "proc_start_abstime", "proc_exit_abstime"],
  ...["child_user_time", "child_system_time", "child_pkg_idle_wkups", "child_interrupt_wkups"],
  ...["child_pageins", "child_elapsed_abstime", "diskio_bytesread", "diskio_byteswritten"],
];
/** <sys/proc_info.h> */
const PROC_PPID_ONLY = 6;

/** As on Apple's processors, where a unit of mach_absolute_time() is 125/3 ns. */
const TIMEBASE = [125, 3] as const;

/** What was set of this process; the real limits stay. */
export interface MacState {
  readonly limits: Map<number, bigint>;
}

export function macCallsOfLinux(state: MacState = { limits: new Map() }): MacCalls {
  const linux = linuxCalls();
  if (linux === null) throw new Error("no libc to make these calls of");
  return {
    lseek: (fd, offset, whence) => linux.lseek(fd, offset, WHENCE[whence] ?? whence),
    futimens: (fd, times) => linux.futimens(fd, timesOfLinux(times)),
    utimensat: (at, path, times, flags) =>
      at === AT_FDCWD && flags === AT_SYMLINK_NOFOLLOW
        ? linux.utimensat(-100, path, timesOfLinux(times), 0x100)
        : FAILED,
    flock: (fd, operation) => linux.flock(fd, operation),
    getpeereid(fd, user, group) {
      const found = linuxSockets(() => linux).peerUser(fd);
      if (found === undefined) return FAILED;
      [user[0], group[0]] = [found, 0];
      return 0;
    },
    fcntl(fd, command) {
      const text = readFileSync(`/proc/self/fdinfo/${fd}`, "utf8");
      const flags = Number.parseInt(/^flags:\t([0-7]+)$/m.exec(text)?.[1] ?? "", 8);
      const [F_GETFD, F_GETFL] = [1, 3];
      if (command === F_GETFD) return (flags & 0o2000000) === 0 ? 0 : 1;
      return command === F_GETFL ? flags & 3 : FAILED;
    },
    getrlimit(resource, limit) {
      const { soft, hard } = linuxProcesses.fileLimit();
      const count = (value: number) => value === Infinity ? RLIM_INFINITY : BigInt(value);
      const files = [count(soft), count(hard)] as const;
      const known = { 4: [RLIM_INFINITY, RLIM_INFINITY], 8: files } as const;
      const found = known[resource as 4 | 8];
      if (found === undefined) return FAILED;
      [limit[0], limit[1]] = found;
      return 0;
    },
    setrlimit(resource, limit) {
      state.limits.set(resource, limit[0] ?? 0n);
      return 0;
    },
    sysctl(name, value, size) {
      if (name[0] !== CTL_KERN) return FAILED;
      if (name.length === 2 && name[1] === KERN_ARGMAX) return answer(int(ARGMAX), value, size);
      if (name.length !== 3 || name[1] !== KERN_PROCARGS2) return FAILED;
      const found = startOf(name[2] ?? 0);
      return found === null ? FAILED : answer(found, value, size);
    },
    sysctlByName(name, value, size) {
      if (Buffer.from(name).toString() !== "kern.bootsessionuuid\0") return FAILED;
      const id = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim().toUpperCase();
      return answer(Buffer.from(`${id}\0`), value, size);
    },
    listPids(kind, of, pids) {
      if (kind !== PROC_PPID_ONLY) return 0;
      const found = readdirSync("/proc").map(Number).filter((pid) => parentOf(pid) === of);
      pids.set(found.slice(0, pids.length));
      return Math.min(found.length, pids.length) * 4;
    },
    pidUsage(pid, kind, usage) {
      const found = linuxProcesses.usageOf(pid);
      if (kind !== 2 || found === null) return FAILED;
      const units = BigInt(Math.round(found.cpuMs * 1e6 * TIMEBASE[1] / TIMEBASE[0]));
      const values: Readonly<Record<string, bigint>> = {
        user_time: units - units / 4n,
        system_time: units / 4n,
        resident_size: BigInt(found.rssBytes),
        wired_size: 1n,
        phys_footprint: 2n,
      };
      const view = new DataView(usage.buffer);
      RUSAGE_INFO_V2.forEach((name, at) =>
        view.setBigUint64(16 + 8 * at, values[name] ?? 0n, true)
      );
      return 0;
    },
    timebase(fraction) {
      fraction.set(TIMEBASE);
      return 0;
    },
  };
}

/** open(2) of macOS, as far as its O_NOFOLLOW_ANY goes. */
export function openOfMac(path: string, flags: number): number {
  if ((flags & O_NOFOLLOW_ANY) !== 0) {
    const steps = path.split("/");
    steps.forEach((_, at) => {
      const upTo = steps.slice(0, at + 1).join("/") || "/";
      if (!lstatSync(upTo).isSymbolicLink()) return;
      throw Object.assign(new Error(`ELOOP: ${upTo}`), { code: "ELOOP" });
    });
  }
  return openSync(path, flags & ~O_NOFOLLOW_ANY);
}

/** A call that finds nothing, of which the system says ENOMEM where there is too little room. */
function answer(found: Uint8Array, value: Uint8Array, size: BigUint64Array): number {
  if (BigInt(found.length) > (size[0] ?? 0n)) return FAILED;
  value.set(found);
  size[0] = BigInt(found.length);
  return 0;
}

function int(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}

function timesOfLinux(times: Uint8Array): Uint8Array {
  const found = new BigInt64Array(times.slice().buffer);
  return new Uint8Array(
    found.map((value, at) => at % 2 === 1 && value === UTIME_OMIT ? (1n << 30n) - 2n : value)
      .buffer,
  );
}

/** With what the kernel has behind the environment, and with a boundary behind the program's path. */
function startOf(pid: number): Uint8Array | null {
  try {
    const argv = readFileSync(`/proc/${pid}/cmdline`);
    const environment = readFileSync(`/proc/${pid}/environ`);
    const program = Buffer.from(`${readlinkSync(`/proc/${pid}/exe`)}\0`);
    const padding = Buffer.alloc(8 - program.length % 8);
    const behind = Buffer.from("\0executable_path=/x\0ptr_munge=\0");
    const count = argv.filter((byte) => byte === 0).length;
    return Buffer.concat([int(count), program, padding, argv, environment, behind]);
  } catch {
    return null;
  }
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    return undefined;
  }
}

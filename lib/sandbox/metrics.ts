/**
 * What a sandbox uses: of this machine, of its own, and of the network.
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import type { GuestUsage } from "../guest/agent/result.ts";
import type { Guest, HostProcess } from "../guest/guest.ts";
import { descendantsOf, type ProcessUsage, processUsage } from "../host/process_usage.ts";
import type { NetworkCounts } from "./network_counts.ts";

/** A process of this machine that a sandbox consists of. */
export interface ProcessMetrics extends HostProcess, ProcessUsage {}

/** Counts since the start, and what is so now; plain data. */
export interface SandboxMetrics {
  /** Since commands can run in it, in milliseconds. */
  readonly uptimeMs: number;
  /** Time on this machine's processors, in milliseconds: the sum of the processes. */
  readonly cpuMs: number;
  /** What of that the guest's own processors had; 0 where it is emulated. */
  readonly guestCpuMs: number;
  /** Memory of this machine, in bytes: the sum of the processes. What they share counts in each. */
  readonly rssBytes: number;
  /** The same, with what is shared counted once. Absent: not for this user to know. */
  readonly pssBytes?: number;
  /** QEMU, netstack, the watchdog and file daemons; not the program that made the sandbox. Empty elsewhere than on Linux. */
  readonly processes: readonly ProcessMetrics[];
  /** As the guest says. Absent when it did not within a second. */
  readonly guest?: GuestUsage;
  /** Absent when the guest has no network. */
  readonly network?: NetworkCounts;
}

/** How long the guest may take to answer. */
const ANSWER_MS = 1_000;

export interface MetricsSources {
  readonly guest: Pick<Guest, "usage" | "processes">;
  /** Beside the guest's. */
  readonly processes: readonly HostProcess[];
  readonly counts: () => NetworkCounts | undefined;
  readonly uptimeMs: () => number;
}

export async function readMetrics(
  { guest, processes, counts, uptimeMs }: MetricsSources,
): Promise<SandboxMetrics> {
  const timer = new AbortController();
  const late = delay(ANSWER_MS, undefined, { signal: timer.signal }).catch(() => undefined);
  const said = await Promise.race([guest.usage().catch(() => undefined), late]);
  timer.abort();
  const used = [...guest.processes, ...processes].flatMap(withDescendants).flatMap(measured);
  const sum = (of: (one: ProcessMetrics) => number) => used.reduce((all, one) => all + of(one), 0);
  const network = counts();
  const isShared = used.length > 0 && used.every(({ pssBytes }) => pssBytes !== undefined);
  return {
    uptimeMs: Math.round(uptimeMs()),
    cpuMs: sum(({ cpuMs }) => cpuMs),
    guestCpuMs: sum(({ guestCpuMs }) => guestCpuMs),
    rssBytes: sum(({ rssBytes }) => rssBytes),
    ...(isShared ? { pssBytes: sum(({ pssBytes = 0 }) => pssBytes) } : {}),
    processes: used,
    ...(said === undefined ? {} : { guest: said }),
    ...(network === undefined ? {} : { network }),
  };
}

/** A file daemon has one that does its work. */
function withDescendants({ name, pid }: HostProcess): HostProcess[] {
  return [pid, ...descendantsOf(pid)].map((each) => ({ name, pid: each }));
}

function measured(process: HostProcess): ProcessMetrics[] {
  const usage = processUsage(process.pid);
  return usage === null ? [] : [{ ...process, ...usage }];
}

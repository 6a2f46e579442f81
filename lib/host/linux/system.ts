/**
 * Linux as sbx asks it.
 *
 * @module
 */
import type { HostSystem } from "../system.ts";
import { linuxFiles } from "./files.ts";
import { linuxCalls } from "./libc.ts";
import { linuxProcesses } from "./processes.ts";
import { linuxSockets } from "./sockets.ts";

/** `calls` are the kernel's own, save in tests. */
export function linuxSystem(calls: typeof linuxCalls = linuxCalls): HostSystem {
  return {
    name: "Linux",
    places: { cache: ".cache", data: ".local/share", state: ".local/state" },
    files: linuxFiles(calls),
    sockets: linuxSockets(calls),
    processes: linuxProcesses,
  };
}

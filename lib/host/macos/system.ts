/**
 * macOS as sbx asks it.
 *
 * @module
 */
import type { HostSystem } from "../system.ts";
import { macFiles } from "./files.ts";
import { macCalls } from "./libsystem.ts";
import { macProcesses } from "./processes.ts";
import { macSockets } from "./sockets.ts";

/** No backup has Caches in it. */
const SUPPORT = "Library/Application Support";

/** `calls` are the kernel's own, save in tests; so is `open`. */
export function macSystem(
  calls: typeof macCalls = macCalls,
  open?: Parameters<typeof macFiles>[1],
): HostSystem {
  return {
    name: "macOS",
    places: { cache: "Library/Caches", data: SUPPORT, state: SUPPORT },
    files: macFiles(calls, open),
    sockets: macSockets(calls),
    processes: macProcesses(calls),
  };
}

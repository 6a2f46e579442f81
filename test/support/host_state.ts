/**
 * What a run of sbx could leave behind on the host of a world: processes, mounts, sockets, files.
 *
 * @module
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { World } from "./world.ts";

export interface Process {
  readonly pid: number;
  readonly name: string;
  /** What it does, for programs that do several things. */
  readonly verb: string;
}

/** Everything that runs in the host's network namespace, but for the world's own servers. */
export function processesOf(world: World): Process[] {
  const home = readlinkSync(`/proc/${world.hostPid}/ns/net`);
  const found: Process[] = [];
  for (const entry of readdirSync("/proc")) {
    const pid = Number(entry);
    if (!Number.isInteger(pid) || pid === world.hostPid) continue;
    try {
      if (readlinkSync(`/proc/${pid}/ns/net`) !== home) continue;
      const status = readFileSync(`/proc/${pid}/status`, "utf8");
      const name = /^Name:\t(.*)$/m.exec(status)?.[1] ?? "";
      const dead = /^State:\t[ZX]/m.test(status) && isAlone(pid);
      const verb = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[1] ?? "";
      if (!dead && name !== "internet") found.push({ pid, name, verb });
    } catch {
      // It ended while it was looked at.
    }
  }
  return found;
}

/** A process whose first thread has ended still holds its sockets while it has others. */
function isAlone(pid: number): boolean {
  return readdirSync(`/proc/${pid}/task`).length === 1;
}

/**
 * Whether the host's kernel is done with every TCP connection. It closes those of a process that died
 * in its own time: its FIN, and the acknowledgement of the other side's, come after the process is gone.
 */
export function connectionsAreClosed(world: World): boolean {
  const settled = ["0A", "06"]; // LISTEN and TIME_WAIT, of net/tcp_states.h
  return ["tcp", "tcp6"].every((family) =>
    readFileSync(`/proc/${world.hostPid}/net/${family}`, "utf8").trim().split("\n").slice(1)
      .every((line) => {
        const state = line.trim().split(" ").filter(Boolean)[3];
        return settled.includes(state ?? "");
      })
  );
}

/** Everything else, as lines that can be compared. */
export async function stateOf(world: World, ...directories: string[]): Promise<string[]> {
  const lines = async (command: string) =>
    (await world.run(["sh", "-c", command, "sh", ...directories])).stdout.split("\n").filter(
      Boolean,
    );
  return [
    ...processesOf(world).map(({ name }) => `process ${name}`),
    ...readFileSync(`/proc/${world.hostPid}/mountinfo`, "utf8").split("\n"),
    // Ports and paths that listen; inode numbers and reference counts differ from look to look.
    ...await lines("cat /proc/net/tcp /proc/net/tcp6 | awk '$4 == \"0A\" { print $2 }'"),
    ...await lines("cat /proc/net/udp /proc/net/udp6 | awk '{ print $2 }'"),
    ...await lines("awk '$8 != \"\" { print $8 }' /proc/net/unix"),
    ...await lines("ip -br address; ip route; ip -6 route; ip rule"),
    ...await lines('find "$@" -printf "%p %y %m %s\\n"'),
  ].sort();
}

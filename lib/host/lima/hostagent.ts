/**
 * A guest that Lima's own driver runs, QEMU's or VZ's, as a process. It is no child of this one: Lima's hostagent
 * started it, or is it, and both are known by the pidfiles of the instance.
 *
 * ```
 * awaited ── both have their pids ──► there ── either is gone, or killed ──► gone
 *    └── not in time: GUEST_START
 * ```
 *
 * @module
 */
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import type { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { SbxError } from "../../base/errors.ts";
import type { Exit } from "../../guest/guest.ts";
import type { LimaMonitor, LimaProcess } from "../../guest/lima/guest.ts";
import type { OwnDriver } from "../../guest/lima/own_driver.ts";
import { Monitor } from "../../guest/qemu/monitor.ts";
import { fileBytes } from "../follow.ts";
import { ownSystem } from "../own_system.ts";
import { connectTo } from "../unix_socket.ts";

/** QEMU writes its pid before it opens what its guest has. */
const AWAITED_MS = 60_000;
const LOOK_MS = 200;

/** One client at a time is served, and Lima's own come and go. */
const MONITOR_MS = 10_000;

/** The files of Lima's that the guest's serial port is written to. */
const CONSOLES = { qemu: "serial.log", vz: "serialv.log" } as const;

export interface HostagentSpec {
  /** The instance's directory. */
  readonly dir: string;
  readonly driver: OwnDriver;
  /** Pidfiles from before that, in Unix milliseconds, are of another run, and their numbers anybody's by now. */
  readonly since: number;
}

/**
 * Waits until Lima has it.
 *
 * @throws SbxError GUEST_START
 */
export async function adoptGuest(spec: HostagentSpec): Promise<LimaProcess> {
  const { dir, driver } = spec;
  const started = performance.now();
  for (;;) {
    const { hostagent, machine } = processesOf(spec);
    if (hostagent !== undefined && machine !== undefined) {
      return new Adopted(dir, driver, hostagent, machine);
    }
    if (performance.now() - started > AWAITED_MS) {
      throw new SbxError("GUEST_START", "Cannot start the guest: Lima does not say that it runs", {
        hint: `see ha.stderr.log in ${dir}`,
      });
    }
    await delay(LOOK_MS);
  }
}

/** Ends what Lima has of it by now, where it was never adopted: it would go on without a network. */
export function disownGuest(spec: HostagentSpec): void {
  const { hostagent, machine } = processesOf(spec);
  hostagent?.signal("SIGINT"); // it ends a machine of which there is no pid yet
  machine?.signal("SIGKILL");
}

function processesOf({ dir, driver, since }: HostagentSpec) {
  return {
    hostagent: processIn(join(dir, "ha.pid"), since),
    machine: processIn(join(dir, `${driver}.pid`), since),
  };
}

/**
 * The port of 127.0.0.1 on which Lima's hostagent looks for the guest's SSH, as it wrote it down before it had the
 * guest started.
 *
 * @throws SbxError LIMA_INSTANCE
 */
export function sshPortOf(dir: string): number {
  const path = join(dir, "ssh.config");
  try {
    const lines = readFileSync(path, "utf8").split("\n").map((line) => line.trim().split(" "));
    const port = Number(lines.find(([word]) => word === "Port")?.[1]);
    if (port > 0 && port <= 65_535) return port;
  } catch {
    // It is said below.
  }
  throw new SbxError("LIMA_INSTANCE", `Cannot start the guest: ${path} names no port for SSH`);
}

class Adopted implements LimaProcess {
  readonly pid: number;
  readonly monitor: LimaMonitor;
  readonly console: ReadableStream<Uint8Array>;
  readonly exited: Promise<Exit>;
  readonly #dir: string;
  readonly #machine: Other;

  constructor(dir: string, driver: OwnDriver, hostagent: Other, machine: Other) {
    this.pid = machine.pid;
    this.#machine = machine;
    this.#dir = dir;
    this.monitor = {
      ask: async (order) => {
        switch (order[0]) {
          case "cont": // it has booted since Lima started it
            return undefined;
          case "system_powerdown": // as `limactl stop` has it done
            return hostagent.signal("SIGINT");
          default:
            return await askMonitor(join(dir, "qmp.sock"), order);
        }
      },
    };
    this.exited = this.#watch(hostagent);
    this.console = this.#follow(CONSOLES[driver]);
  }

  consoleTail(): string {
    try {
      const lines = readFileSync(join(this.#dir, "ha.stderr.log"), "utf8").trim().split("\n");
      return lines.at(-1) ?? "";
    } catch {
      return "";
    }
  }

  kill(): void {
    this.#machine.signal("SIGKILL");
  }

  /** A guest without its hostagent is nobody's to stop. */
  async #watch(hostagent: Other): Promise<Exit> {
    while (hostagent.runs() && this.#machine.runs()) await delay(LOOK_MS);
    if (!this.#machine.runs()) return { code: 0, signal: null };
    this.#machine.signal("SIGKILL");
    return { code: null, signal: "Lima's hostagent is gone" };
  }

  /** What the guest says, to its end: what it wrote last is there when it is gone. */
  #follow(name: string): ReadableStream<Uint8Array> {
    const path = join(this.#dir, name);
    const over = new AbortController();
    void this.exited.then(() => over.abort());
    const exited = this.exited;
    const said = async function* () {
      let seen = 0;
      // Lima removes the last run's, and QEMU has a pid before it makes this one's.
      while (!over.signal.aborted) {
        try {
          for await (const chunk of fileBytes(path, { follow: true, signal: over.signal })) {
            seen += chunk.length;
            yield chunk.slice();
          }
        } catch {
          await Promise.race([delay(LOOK_MS), exited]);
        }
      }
      let skip = seen;
      for await (const chunk of fileBytes(path, { follow: false })) {
        if (skip < chunk.length) yield chunk.slice(skip);
        skip = Math.max(0, skip - chunk.length);
      }
    };
    const chunks = said();
    return new ReadableStream({
      async pull(reader) {
        const { done, value } = await chunks.next().catch(() => ({ done: true, value: undefined }));
        if (done === true || value === undefined) reader.close();
        else reader.enqueue(value);
      },
      cancel: () => over.abort(),
    });
  }
}

async function askMonitor(
  path: string,
  order: Parameters<LimaMonitor["ask"]>[0],
): Promise<unknown> {
  const socket = await connected(path);
  const monitor = new Monitor(socket);
  const timer = setTimeout(() => monitor.close(), MONITOR_MS);
  try {
    return await monitor.ask(order);
  } finally {
    clearTimeout(timer);
    monitor.close();
  }
}

/** QEMU has a pid before it listens. @throws SbxError GUEST_START */
async function connected(path: string): Promise<Duplex> {
  const end = performance.now() + MONITOR_MS;
  for (;;) {
    try {
      return await connectTo(path);
    } catch (cause) {
      if (performance.now() > end) {
        throw new SbxError("GUEST_START", "Cannot use QEMU's monitor: nobody listens", { cause });
      }
      await delay(LOOK_MS);
    }
  }
}

/** A process of Lima's, which is no child of this one: its number may be another's once it is gone. */
class Other {
  readonly pid: number;
  readonly #start: string;

  constructor(pid: number, start: string) {
    this.pid = pid;
    this.#start = start;
  }

  runs(): boolean {
    return startOf(this.pid) === this.#start;
  }

  signal(name: "SIGINT" | "SIGKILL"): void {
    try {
      if (this.runs()) process.kill(this.pid, name);
    } catch {
      // It is gone.
    }
  }
}

/** The one that a pidfile names, if it runs. */
function processIn(path: string, since: number): Other | undefined {
  try {
    if (statSync(path).mtimeMs < since) return undefined;
    const pid = Number(readFileSync(path, "utf8").trim());
    const start = Number.isInteger(pid) && pid > 1 ? startOf(pid) : null;
    return start === null ? undefined : new Other(pid, start);
  } catch {
    return undefined;
  }
}

function startOf(pid: number): string | null {
  return ownSystem().processes.startOf(pid);
}

/**
 * Lima's processes, and strangers that have their numbers once they are gone: `lima_hostagent_fixture.ts DIRECTORY`, in a
 * namespace of processes of its own. Says what each one died of, a line each; SIGTERM is this program's own.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import type { LimaProcess } from "../../lib/guest/lima/guest.ts";
import { adoptGuest } from "../../lib/host/lima/hostagent.ts";

const [dir = ""] = process.argv.slice(2);

const program = () => spawn("sleep", ["1000"], { stdio: "ignore" });

async function ended(child: ChildProcess, signal: NodeJS.Signals): Promise<string | null> {
  const exit = once(child, "exit");
  child.kill(signal);
  await exit;
  return child.signalCode;
}

/** A process with that number, which nobody has any more. */
async function stranger(pid: number): Promise<ChildProcess> {
  for (;;) {
    writeFileSync("/proc/sys/kernel/ns_last_pid", `${pid - 1}`);
    const child = program();
    if (child.pid === pid) return child;
    await ended(child, "SIGTERM"); // a thread of this program was faster
  }
}

async function adopted() {
  const [hostagent, machine] = [program(), program()];
  writeFileSync(join(dir, "ha.pid"), `${hostagent.pid}\n`);
  writeFileSync(join(dir, "qemu.pid"), `${machine.pid}\n`);
  return { guest: await adoptGuest({ dir, driver: "qemu", since: 0 }), hostagent, machine };
}

const ACTS: readonly (readonly ["hostagent" | "machine", (guest: LimaProcess) => unknown])[] = [
  ["machine", (guest) => guest.kill()],
  ["hostagent", (guest) => guest.monitor.ask(["system_powerdown"])],
];

for (const [role, act] of ACTS) {
  for (const who of ["Lima's", "a stranger's"]) {
    const { guest, ...lima } = await adopted();
    let child = lima[role];
    if (who !== "Lima's") {
      await ended(child, "SIGTERM");
      await guest.exited; // and what it does of that is done
      await delay(50); // the kernel's clock of starts has ticks of 10 ms
      child = await stranger(child.pid ?? -1);
    }
    await act(guest);
    // Of two signals the one with the lower number is taken first, and SIGKILL before any.
    process.stdout.write(`${role}, ${who}: ${await ended(child, "SIGTERM")}\n`);
    for (const one of Object.values(lima)) one.kill("SIGKILL");
  }
}

/**
 * Ends a named sandbox from outside, for when its supervisor does not answer: the supervisor's end is that of
 * all its processes.
 *
 * @module
 */
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";
import { SbxError } from "../base/errors.ts";
import { systemCode } from "../base/file_error.ts";
import { argumentsOf } from "../host/process_arguments.ts";
import { limaArguments, supervisorArguments } from "../host/spawn_supervisor.ts";
import {
  forgetSandbox,
  type KeptSandbox,
  keptSandbox,
  lockSandbox,
  writeState,
} from "./registry.ts";
import type { SandboxState } from "./state.ts";

/** How long the kernel may take to end what was killed. */
const GONE_MS = 5_000;
const LOOK_MS = 25;

const SIGKILL = 9;

/**
 * Resolves when nothing of it runs any more; does nothing when nothing does. What is going to be forgotten gets no
 * state of its end, which a full disk would not take.
 *
 * @throws SbxError SANDBOX_MISSING; SUPERVISOR_LOST when its supervisor cannot be found, or does not end
 */
export async function killSandbox(name: string, isForgotten = false): Promise<void> {
  const until = performance.now() + GONE_MS;
  let own = supervisorArguments(name);
  while (performance.now() < until) {
    const { home, status, state, record } = await keptSandbox(name);
    switch (status) {
      case "created":
      case "stopped":
      case "failed":
        return;
      case "starting":
      case "running":
      case "stopping":
        own = argumentsFor(name, record);
        kill(own, state);
        await delay(LOOK_MS);
        continue;
      case "lost": {
        if (isForgotten) return;
        const lock = await lockSandbox(home);
        if (lock === null) continue; // somebody starts it
        try {
          if (!(record instanceof SbxError) && record.life.remove) await forgetSandbox(home);
          else {await writeState(home, {
              kind: "stopped",
              at: Date.now(),
              exit: { signal: SIGKILL },
            });}
        } finally {
          lock.release();
        }
        return;
      }
    }
  }
  throw new SbxError("SUPERVISOR_LOST", `Cannot end sandbox ${name}: its supervisor is not found`, {
    hint: `look for a process with the arguments '${own.join(" ")}'`,
  });
}

/** What its supervisor was called with, at the end of the command line. */
function argumentsFor(name: string, record: KeptSandbox["record"]): readonly string[] {
  const lima = record instanceof SbxError ? undefined : record.lima;
  return lima === undefined ? supervisorArguments(name) : limaArguments(lima.directory);
}

/** Only what still is the sandbox's supervisor: numbers of processes are used again. */
function kill(own: readonly string[], state: SandboxState): void {
  if (state.kind !== "starting" && state.kind !== "running") return;
  const found = argumentsOf(state.pid) ?? [];
  if (found.slice(-own.length).join("\0") !== own.join("\0")) return;
  try {
    process.kill(state.pid, "SIGKILL");
  } catch (cause) {
    if (systemCode(cause) !== "ESRCH") throw cause; // it has ended meanwhile
  }
}

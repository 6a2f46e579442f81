/**
 * Starts a supervisor, which leaves its terminal, its session and its starter behind.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, constants, fstatSync, ftruncateSync, openSync } from "node:fs";
import process from "node:process";
import type { Readable } from "node:stream";
import { ownProgram } from "./own_program.ts";

/** What it says until it is on its own: the lines of a descriptor that it closes then. */
export const REPORT_FD = 3;

/** Bytes of faults beyond which the next start begins anew. */
const MOST_FAULTS = 1 << 20;

/** What programs of a login session need to find each other; all else stays with the starter. */
const KEPT = [
  "DBUS_SESSION_BUS_ADDRESS",
  "HOME",
  "LANG",
  "LOGNAME",
  "PATH",
  "SBX_TRACE",
  "TMPDIR",
  "TZ",
  "USER",
  "XDG_CACHE_HOME",
  "XDG_CONFIG_HOME",
  "XDG_DATA_HOME",
  "XDG_RUNTIME_DIR",
  "XDG_STATE_HOME",
];

export interface SpawnedSupervisor {
  readonly report: Readable;
  readonly exited: Promise<void>;
  /** Tells it that nobody waits for the sandbox any more; before its report ends, that ends it. */
  leave(): void;
}

export interface SupervisorSpawn {
  readonly name: string;
  /** Where it stands: what relative paths are relative to. */
  readonly directory: string;
  /** A file for what it says when it breaks. */
  readonly faults: string;
  /** Variables of this process that values of secrets are read of. */
  readonly variables: readonly string[];
}

/** What it is called with, at the end of its command line. */
export function supervisorArguments(name: string): readonly string[] {
  return ["__supervise", name];
}

/** The same of a guest that Lima's driver starts; `directory`: its instance's. */
export function limaArguments(directory: string): readonly string[] {
  return ["lima-guest", "run", directory];
}

/** What is passed on to a process that stays. */
export function keptEnvironment(variables: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    [...KEPT, ...variables].flatMap((name) => {
      const value = process.env[name];
      return value === undefined ? [] : [[name, value]];
    }),
  );
}

/** @throws the system's error where `directory` or the program is gone */
export function spawnSupervisor(spec: SupervisorSpawn): SpawnedSupervisor {
  const { O_WRONLY, O_CREAT, O_APPEND, O_NOFOLLOW } = constants;
  const faults = openSync(spec.faults, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0o600);
  if (fstatSync(faults).size > MOST_FAULTS) ftruncateSync(faults);
  const [program, ...args] = ownProgram();
  const env = keptEnvironment(spec.variables);
  let child: ChildProcess;
  try {
    child = spawn(program, [...args, ...supervisorArguments(spec.name)], {
      cwd: spec.directory,
      env,
      detached: true,
      stdio: ["pipe", faults, faults, "pipe"],
    });
  } finally {
    closeSync(faults);
  }
  const exited = Promise.withResolvers<void>();
  child.once("exit", () => exited.resolve());
  child.once("error", () => exited.resolve());
  child.stdin?.on("error", () => {}); // it is gone, which `exited` says
  return {
    report: child.stdio[REPORT_FD] as Readable,
    exited: exited.promise,
    leave() {
      child.stdin?.destroy();
      child.unref();
    },
  };
}

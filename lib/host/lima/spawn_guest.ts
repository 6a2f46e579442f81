/**
 * Starts the process that is the network of a guest which one of Lima's own drivers runs, and before it the one that
 * writes the guest's yaml. The network leaves its starter, his terminal and his session behind, once he lets it.
 *
 * @module
 */
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process";
import { closeSync, constants, openSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileError } from "../../base/file_error.ts";
import { ownProgram } from "../own_program.ts";
import { noMoreProcesses } from "../spawn_failure.ts";
import { keptEnvironment, limaArguments } from "../spawn_supervisor.ts";

/** What it says on standard error. */
export function ownDriverLog(directory: string): string {
  return join(directory, "sbx.stderr.log");
}

export interface SpawnedLimaGuest {
  /** What it says, a line an event. */
  readonly lines: AsyncIterable<string>;
  /** It goes on without its starter. */
  stay(): void;
  /** It ends, and its guest with it. */
  end(): void;
  readonly exited: Promise<void>;
}

/** `directory`: the instance's; `variables`: those that values of secrets are read of. @throws SbxError GUEST_START, FILE_UNREADABLE */
export function spawnLimaGuest(
  directory: string,
  instance: unknown,
  variables: readonly string[],
): SpawnedLimaGuest {
  const { child, stdin, stdout } = spawned(directory, limaArguments(directory), {
    env: keptEnvironment(variables),
    detached: true,
  });
  stdin.write(`${JSON.stringify(instance)}\n`);
  return {
    lines: createInterface({ input: stdout }),
    stay() {
      stdin.end("stay\n");
      child.unref();
      stdout.destroy();
    },
    end: () => stdin.end(),
    exited: new Promise((resolve) => child.once("close", () => resolve())),
  };
}

/**
 * Has an instance's yaml written by a process that goes where the guest's options were given, since their paths are
 * found from there. Answers what it says, a line an event. `directory`: the instance's.
 *
 * @throws SbxError GUEST_START, FILE_UNREADABLE
 */
export function configureLimaGuest(directory: string, instance: unknown): AsyncIterable<string> {
  const { stdin, stdout } = spawned(directory, ["lima-guest", "configure"], {});
  stdin.end(JSON.stringify(instance));
  return createInterface({ input: stdout });
}

function spawned(
  directory: string,
  argv: readonly string[],
  options: Pick<SpawnOptions, "env" | "detached">,
) {
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;
  const path = ownDriverLog(directory);
  let log: number;
  try {
    log = openSync(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600);
  } catch (cause) {
    throw fileError("write what the guest's sbx says to", path, cause);
  }
  const [program, ...args] = ownProgram();
  let child: ChildProcess;
  try {
    child = spawn(program, [...args, ...argv], { ...options, stdio: ["pipe", "pipe", log] });
  } finally {
    closeSync(log);
  }
  const { stdin, stdout } = child;
  child.on("error", () => {}); // a child that did not start has no streams, which says it below
  if (stdin === null || stdout === null) throw noMoreProcesses("the guest's sbx");
  stdin.on("error", () => {}); // its end says so
  return { child, stdin, stdout };
}

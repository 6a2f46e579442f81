/**
 * Starts the process that has the sandbox of a program. It is in a session of its own, so that what a terminal sends
 * the program is the program's to answer, and it ends with the socket that both have.
 *
 * @module
 */
import { spawn } from "node:child_process";
import type { Duplex } from "node:stream";
import { ownProgram } from "./own_program.ts";

/** The socket, as the process has it. */
export const PORT_FD = 3;

export interface SpawnedSandbox {
  readonly port: Duplex;
  /** Resolves at its end, also where it could not be started. */
  readonly exited: Promise<void>;
  /** Ends it, where it is there still. */
  kill(): void;
}

/** `writesOut`: it writes to the program's standard output. @throws SbxError REQUIREMENT_MISSING, the system's error */
export function spawnSandbox({ writesOut }: { readonly writesOut: boolean }): SpawnedSandbox {
  const [program, ...args] = ownProgram();
  const child = spawn(program, [...args, "__sandbox"], {
    detached: true,
    // What it says when it breaks is for whoever looks at the program's errors.
    stdio: ["ignore", writesOut ? "inherit" : "ignore", "inherit", "pipe"],
  });
  const exited = Promise.withResolvers<void>();
  child.once("exit", () => exited.resolve());
  child.once("error", () => exited.resolve());
  const port = child.stdio[PORT_FD] as Duplex;
  port.on("error", () => {}); // its close says it
  return { port, exited: exited.promise, kill: () => void child.kill("SIGKILL") };
}

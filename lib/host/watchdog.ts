/**
 * `netstack watch`: ends the machine from outside when this process's one thread cannot, because it
 * hangs or is stopped. What is written to it, and what it does then, is in vendor/netstack/internal/watch/watch.go.
 *
 * @module
 */
import { spawn } from "node:child_process";
import process from "node:process";
import type { Exit } from "../guest/guest.ts";
import { noMoreProcesses } from "./spawn_failure.ts";

/** It counts ten of these in silence. */
const ALIVE_MS = 1_000;

/** It takes no longer limits; 34 years. */
const LONGEST_MS = 2 ** 40 - 1;

export interface Watchdog {
  readonly pid: number;
  /** From here on it watches over this process. */
  guard(pid: number): void;
  /** Ends the machine in so many milliseconds, unless the function returned is called before. */
  limit(ms: number): () => void;
  /** Ends what it guards, if that is still there, and goes. */
  close(): void;
  readonly exited: Promise<Exit>;
}

export interface WatchdogSpec {
  /** It ends this process too, by SIGKILL, when this one goes on hanging after its machine was ended. */
  readonly endsCaller: boolean;
  /** The machine is no child of this process, which the kernel would end with it: the watchdog does. */
  readonly outlivesCaller?: boolean;
}

/** Starts it. */
export function spawnWatchdog(
  binary: string,
  { endsCaller, outlivesCaller = false }: WatchdogSpec,
): Watchdog {
  const options = [
    ...(endsCaller ? ["--end-parent"] : []),
    ...(outlivesCaller ? ["--outlives-parent"] : []),
  ];
  const child = spawn(
    binary,
    ["watch", "--parent", String(process.pid), ...options],
    { stdio: ["pipe", "ignore", endsCaller ? "inherit" : "ignore"], env: {}, detached: true },
  );
  child.on("error", () => {}); // a child that did not start has no streams, which says it below
  if (!child.stdin) {
    throw noMoreProcesses("the watchdog");
  }
  const { promise: exited, resolve } = Promise.withResolvers<Exit>();
  child.once("exit", (code, signal) => resolve({ code, signal }));
  child.once("error", () => resolve({ code: null, signal: null }));
  const say = (line: string) => void child.stdin.write(`${line}\n`);
  child.stdin.on("error", () => {}); // its end is told by `exited`
  const beat = setInterval(() => {
    if (child.stdin.writableLength === 0) say("alive");
  }, ALIVE_MS);
  beat.unref();
  let lastId = 0;
  return {
    pid: child.pid ?? -1,
    guard: (pid) => say(`machine ${pid}`),
    limit(ms) {
      const id = ++lastId;
      say(`limit ${id} ${Math.min(Math.ceil(ms), LONGEST_MS)}`);
      return () => say(`lift ${id}`);
    },
    close() {
      clearInterval(beat);
      child.stdin.end();
    },
    exited,
  };
}

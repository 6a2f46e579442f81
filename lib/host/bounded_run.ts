/**
 * A program that is run for what it prints, with bounds on its time, its output and its descendants.
 *
 * It leads a session of its own, so that all that it started ends with it: with the program itself, at
 * the time limit, when whoever waits gives up, or when this process dies, however it does. A descendant
 * that makes a session for itself is not followed, nor waited for.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import type { Duplex, Readable } from "node:stream";

/** Far more than the longest value (`MAX_VALUE`) with what can be around it. */
const MAX_OUTPUT = 64 << 10;

/** Of standard error; the rest is read and dropped. */
const MAX_SAID = 4096;

/** Where the program's session finds the end of a pipe that ends with this process. */
const LEASH_FD = 3;

/** Becomes the program; what reads the pipe meanwhile is not its child to wait for. */
const LEASHED =
  `{ read -r _; kill -9 0; } <&${LEASH_FD} >/dev/null 2>&1 & exec ${LEASH_FD}<&-; exec "$@"`;

/** What is still in the pipes when the program has ended comes at once, unless others hold them. */
const REST_MS = 500;

export interface RunSpec {
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /** Absent: the null device. */
  readonly input?: string;
  readonly limitMs: number;
  /** Aborting it ends the program. */
  readonly signal?: AbortSignal;
}

export type RunEnd =
  | {
    readonly kind: "exited";
    readonly status: number;
    readonly output: Buffer;
    readonly said: string;
  }
  | { readonly kind: "killed"; readonly signal: string; readonly said: string }
  | { readonly kind: "late" } // the time limit
  | { readonly kind: "flood" } // it printed more than anybody wants
  | { readonly kind: "stopped" } // the signal
  | { readonly kind: "unstarted"; readonly cause: unknown };

/** Resolves when the program has ended; never rejects. */
export function runBounded(spec: RunSpec): Promise<RunEnd> {
  const { input, limitMs, signal } = spec;
  if (signal?.aborted) return Promise.resolve({ kind: "stopped" });
  let child: ChildProcess;
  try {
    child = startOf(spec);
  } catch (cause) {
    return Promise.resolve({ kind: "unstarted", cause });
  }
  const { promise, resolve } = Promise.withResolvers<RunEnd>();
  let isGone = false;
  const killAll = () => {
    // Once it is gone, its number can be somebody else's.
    if (!isGone && child.pid !== undefined) killGroup(child.pid);
  };
  const end = (how: RunEnd) => {
    clearTimeout(limit);
    clearTimeout(rest);
    signal?.removeEventListener("abort", stop);
    killAll();
    child.stdout?.destroy();
    child.stderr?.destroy();
    leashOf(child)?.destroy();
    resolve(how);
  };
  const stop = () => end({ kind: "stopped" });
  const limit = setTimeout(() => end({ kind: "late" }), limitMs);
  let rest: ReturnType<typeof setTimeout> | undefined;
  signal?.addEventListener("abort", stop, { once: true });
  const output = collect(child.stdout, MAX_OUTPUT, () => end({ kind: "flood" }));
  const said = collect(child.stderr, MAX_SAID);
  child.once("error", (cause) => end({ kind: "unstarted", cause }));
  child.once("exit", (status, killer) => {
    killAll();
    isGone = true;
    const done = () => {
      const words = said().toString("utf8");
      if (killer !== null) end({ kind: "killed", signal: killer, said: words });
      else end({ kind: "exited", status: status ?? -1, output: output(), said: words });
    };
    child.once("close", done);
    rest = setTimeout(done, REST_MS);
  });
  if (input !== undefined) {
    child.stdin?.on("error", () => {}); // it need not read
    child.stdin?.end(input);
  }
  return promise;
}

function startOf({ argv, env, cwd, input }: RunSpec): ChildProcess {
  const child = spawn("/bin/sh", ["-c", LEASHED, "sh", ...argv], {
    stdio: [input === undefined ? "ignore" : "pipe", "pipe", "pipe", "pipe"],
    env: env as Record<string, string>,
    ...(cwd === undefined ? {} : { cwd }),
    detached: true,
  });
  leashOf(child)?.on("error", () => {}); // nothing is ever written to it
  return child;
}

function leashOf(child: ChildProcess): Duplex | undefined {
  return child.stdio?.[LEASH_FD] as Duplex | undefined;
}

function killGroup(leader: number): void {
  try {
    process.kill(-leader, "SIGKILL");
  } catch {
    // nothing of it is left
  }
}

/** What came so far, up to `most` bytes; more is dropped, after a word to `flooded`. */
function collect(stream: Readable | null, most: number, flooded?: () => void): () => Buffer {
  const pieces: Buffer[] = [];
  let size = 0;
  stream?.on("error", () => {});
  stream?.on("data", (piece: Buffer) => {
    const room = most - size;
    if (piece.length > room) flooded?.();
    if (room > 0) pieces.push(piece.subarray(0, room));
    size += Math.min(piece.length, room);
  });
  return () => Buffer.concat(pieces);
}

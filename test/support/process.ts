/**
 * Running a program to its end, with all that a test wants to know about it.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { Buffer } from "node:buffer";
import { constants } from "node:os";
import process from "node:process";

export interface RunOptions {
  readonly stdin?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** A run that takes longer hangs, and is killed. Seconds; default 90. */
  readonly limit?: number;
}

export interface Run {
  /** Exit status, 128+N after signal N, as a shell would say. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly bytes: Uint8Array;
  readonly seconds: number;
}

export interface Running {
  readonly pid: number;
  readonly child: ChildProcess;
  /** What it wrote so far. */
  stdout(): string;
  stderr(): string;
  readonly ended: Promise<Run>;
  kill(signal?: NodeJS.Signals): void;
}

export function start(argv: readonly string[], options: RunOptions = {}): Running {
  const [command = "", ...args] = argv;
  const began = performance.now();
  const child = spawn(command, args, {
    stdio: ["pipe", "pipe", "pipe"],
    env: { ...process.env, ...options.env },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  const out: Buffer[] = [];
  const err: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
  child.stderr.on("data", (chunk: Buffer) => err.push(chunk));
  child.stdin.on("error", () => {}); // A program need not read its input.
  if (options.stdin !== undefined) child.stdin.end(options.stdin);
  const stderr = () => Buffer.concat(err).toString("utf8");
  const ended = new Promise<Run>((resolve, reject) => {
    const limit = options.limit ?? 90;
    const timer = setTimeout(() => {
      child.kill("SIGKILL");
      reject(new Error(`${argv.join(" ")} did not end in ${limit} s; stderr: ${stderr()}`));
    }, limit * 1000);
    child.on("error", reject);
    child.on("close", (code, signal) => {
      clearTimeout(timer);
      const bytes = new Uint8Array(Buffer.concat(out));
      resolve({
        status: signal === null ? code ?? -1 : 128 + constants.signals[signal],
        stdout: Buffer.from(bytes).toString("utf8"),
        stderr: stderr(),
        bytes,
        seconds: (performance.now() - began) / 1000,
      });
    });
  });
  ended.catch(() => {}); // Whoever awaits it hears of it; a test that has failed already does not.
  return {
    pid: child.pid ?? -1,
    child,
    stdout: () => Buffer.concat(out).toString("utf8"),
    stderr,
    ended,
    kill: (signal = "SIGKILL") => void child.kill(signal),
  };
}

/** Without `stdin` the program's input is empty. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<Run> {
  return start(argv, { stdin: "", ...options }).ended;
}

/** Polls until `condition` holds. The limit guards against hanging; it is not what is tested. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  seconds = 30,
): Promise<void> {
  const end = performance.now() + seconds * 1000;
  while (!await condition()) {
    if (performance.now() > end) throw new Error(`waited ${seconds} s in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

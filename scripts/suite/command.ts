import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";

export interface Outcome {
  /** 128+N when signal N ended it. */
  readonly status: number;
  readonly output: string;
  readonly seconds: number;
}

/**
 * Runs one command to its end with stdout and stderr in one text. A runner that exceeds `limit` seconds
 * hangs, and is ended with all that it started (it leads a process group of its own).
 */
export function run(
  argv: readonly string[],
  options: {
    readonly cwd: string;
    readonly limit: number;
    readonly echo?: boolean;
    /** Added to this process's own. */
    readonly env?: Readonly<Record<string, string>>;
  },
): Promise<Outcome> {
  const [command = "", ...rest] = argv;
  const started = performance.now();
  return new Promise((resolve) => {
    const child = spawn(command, rest, {
      cwd: options.cwd,
      stdio: ["ignore", "pipe", "pipe"],
      detached: true,
      ...(options.env === undefined ? {} : { env: { ...process.env, ...options.env } }),
    });
    const chunks: Buffer[] = [];
    const take = (chunk: Buffer) => {
      chunks.push(chunk);
      if (options.echo) process.stderr.write(chunk);
    };
    child.stdout.on("data", take);
    child.stderr.on("data", take);
    const end = () => {
      if (child.pid === undefined) return;
      try {
        process.kill(-child.pid, "SIGKILL");
      } catch {
        // Already gone.
      }
    };
    const timer = setTimeout(() => {
      take(Buffer.from(`\n${command}: ended after ${options.limit} s without an end in sight\n`));
      end();
    }, options.limit * 1000);
    process.once("exit", end);
    const finish = (status: number) => {
      clearTimeout(timer);
      process.removeListener("exit", end);
      const seconds = (performance.now() - started) / 1000;
      resolve({ status, output: Buffer.concat(chunks).toString("utf8"), seconds });
    };
    child.on("error", (error) => {
      take(Buffer.from(`${command}: ${error.message}\n`));
      finish(127);
    });
    child.on(
      "close",
      (status, signal) => finish(status ?? 128 + (signal === null ? 0 : constants.signals[signal])),
    );
  });
}

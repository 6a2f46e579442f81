/**
 * One step of a build, said before it is done. A failed one ends the build, and only then is it shown what
 * its program said: how long the bundler took for each of its parts is no news.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import process from "node:process";

export interface StepOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

export function step(
  name: string,
  command: string,
  argv: readonly string[],
  { cwd, env = {} }: StepOptions,
): void {
  tell(name);
  const { status, error, stdout, stderr } = spawnSync(command, argv, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    maxBuffer: 64 << 20,
  });
  if (status !== 0) {
    for (const said of [stdout, stderr]) process.stderr.write(said ?? "");
    if (error !== undefined) process.stderr.write(`${error.message}\n`);
    process.stderr.write(`build failed at "${name}": what ${command} said is above\n`);
    process.exit(1);
  }
}

export function tell(name: string): void {
  process.stderr.write(`build:  ${name}\n`);
}

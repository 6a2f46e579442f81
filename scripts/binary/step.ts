/**
 * One step of a build, said before it is done. A failed one ends the build, and only then is it shown what
 * its program said: how long the bundler took for each of its parts is no news.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { spawn } from "node:child_process";
import process from "node:process";

export interface StepOptions {
  readonly cwd: string;
  readonly env?: Readonly<Record<string, string>>;
}

export async function step(
  name: string,
  command: string,
  argv: readonly string[],
  { cwd, env = {} }: StepOptions,
): Promise<void> {
  tell(name);
  const child = spawn(command, argv, {
    cwd,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const said: Buffer[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (piece: Buffer) => said.push(piece));
  }
  const failure = await new Promise<string | undefined>((resolve) => {
    child.on("error", ({ message }) => resolve(`${message}\n`));
    child.on("close", (status) => resolve(status === 0 ? undefined : ""));
  });
  if (failure !== undefined) {
    process.stderr.write(Buffer.concat(said));
    process.stderr.write(failure);
    process.stderr.write(`build failed at "${name}": what ${command} said is above\n`);
    process.exit(1);
  }
}

export function tell(name: string): void {
  process.stderr.write(`build:  ${name}\n`);
}

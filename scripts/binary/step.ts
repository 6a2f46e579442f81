/**
 * One step of a build, said before it is done. A failed one ends the build.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
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
  try {
    execFileSync(command, argv, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", 2, 2] });
  } catch {
    process.stderr.write(`build failed at "${name}": what ${command} said is above\n`);
    process.exit(1);
  }
}

export function tell(name: string): void {
  process.stderr.write(`build:  ${name}\n`);
}

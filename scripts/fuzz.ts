/**
 * fuzz MINUTES [TARGET]: see scripts/fuzz. Prints a line for each target, and what a broken one said, which
 * names the input or the seed that breaks it again.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import process from "node:process";
import { fuzz, fuzzTargets } from "./suite/fuzz.ts";

const root = resolve(import.meta.dirname, "..");
const [minutes = "", wanted = ""] = process.argv.slice(2);
const targets = fuzzTargets(root).filter(({ name }) => name.includes(wanted));
if (!(Number(minutes) > 0) || targets.length === 0) {
  process.stderr.write("usage: scripts/fuzz MINUTES [TARGET], with one of\n");
  for (const { name } of fuzzTargets(root)) process.stderr.write(`  ${name}\n`);
  process.exit(2);
}

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => process.exit(1)); // Each runner's group is ended by an exit listener.
}

mkdirSync(`${root}/.cache/fuzz`, { recursive: true });
execFileSync(`${root}/scripts/build`, { stdio: ["ignore", 2, 2] });
const each = Number(minutes) * 60 / targets.length;
const width = Math.max(...targets.map(({ name }) => name.length));
let inputs = 0;
let broken = 0;
for (const target of targets) {
  const result = await fuzz(root, target, each);
  inputs += result.inputs;
  if (!result.ok) {
    broken++;
    process.stdout.write(`\n${result.output.trimEnd()}\n\n`);
  }
  const count = result.inputs === 0 ? "" : `${result.inputs} inputs`;
  process.stdout.write(
    `${result.ok ? "ok  " : "FAIL"} ${target.name.padEnd(width)} ${count.padStart(18)}` +
      ` ${result.seconds.toFixed(0).padStart(5)} s\n`,
  );
}
process.stdout.write(`${targets.length} targets, ${inputs} inputs, ${broken} broken\n`);
process.exitCode = broken > 0 ? 1 : 0;

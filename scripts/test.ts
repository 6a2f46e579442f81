/**
 * Runs the whole suite, or the test files whose path contains one of the names given: static checks, Go
 * tests, Bun tests, and last those with a guest. Ends with the line `N passed, N failed` and a status that
 * says the same.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import process from "node:process";
import { groups, type Kind, kindOf, testBun } from "./suite/bun.ts";
import { searchBriefly } from "./suite/fuzz.ts";
import { goModules, testGo } from "./suite/go.ts";
import { checkGo, checkTypeScript } from "./suite/static.ts";
import { add, type Tally } from "./suite/tally.ts";

const root = resolve(import.meta.dirname, "..");
const names = process.argv.slice(2);
const wanted = (path: string) => names.length === 0 || names.some((name) => path.includes(name));

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => process.exit(1)); // Each runner's group is ended by an exit listener.
}

const bunGroups = groups(root, wanted);
const tallies: Tally[] = [];
const modules = goModules(root);

if (names.length === 0) {
  tallies.push(await checkTypeScript(root));
  for (const module of modules) tallies.push(await checkGo(root, module));
}

// Everything that starts processes of ours starts built ones.
execFileSync(`${root}/scripts/build`, { stdio: ["ignore", 2, 2] });

for (const module of modules) tallies.push(await testGo(root, module, wanted));
if (names.length === 0) tallies.push(await searchBriefly(root));
const plain = waiting("plain");
const network = waiting("network");
const machine = waiting("machine");
await runAll(() => plain.shift());
// Whoever has no guest of a namespace left helps with the machines, from the other end.
await Promise.all([
  runAll(() => machine.shift()),
  runAll(() => network.shift() ?? machine.pop()),
]);

const total = add(...tallies);
if (total.passed + total.failed + total.skipped === 0) {
  process.stdout.write(`no test file's path contains ${names.join(" or ")}\n`);
}
if (total.skipped > 0) process.stdout.write(`${total.skipped} skipped\n`);
process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;

type Group = readonly [name: string, files: readonly string[]];

function waiting(kind: Kind): Group[] {
  return [...bunGroups].filter(([name]) => kindOf(name) === kind);
}

/** One after the other, until there is none. */
async function runAll(next: () => Group | undefined): Promise<void> {
  for (let group = next(); group !== undefined; group = next()) {
    tallies.push(await testBun(root, ...group));
  }
}

/**
 * Runs the whole suite, or the test files whose path contains one of the names given: static checks, Go
 * tests, Bun tests, and last the end-to-end tests on the binary, one file at a time. Ends with the line
 * `N passed, N failed` and a status that says the same.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import process from "node:process";
import { groups, testBun } from "./suite/bun.ts";
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
for (const [name, files] of [...bunGroups].sort(([a], [b]) => rank(a) - rank(b))) {
  tallies.push(await testBun(root, name, files));
}

const total = add(...tallies);
if (total.passed + total.failed + total.skipped === 0) {
  process.stdout.write(`no test file's path contains ${names.join(" or ")}\n`);
}
if (total.skipped > 0) process.stdout.write(`${total.skipped} skipped\n`);
process.stdout.write(`${total.passed} passed, ${total.failed} failed\n`);
process.exitCode = total.failed > 0 || total.passed === 0 ? 1 : 0;

/** The slow ones last, so that a simple mistake is told early. */
function rank(name: string): number {
  return name.startsWith("test/e2e") ? 1 : 0;
}

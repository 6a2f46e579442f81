/**
 * Searches for inputs that break readers: Go's native targets, which follow the coverage and keep a
 * corpus, and the mutation tests of the TypeScript, under seeds that no run had before.
 *
 * @module
 */
import { globSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import process from "node:process";
import { run } from "./command.ts";
import { goModules } from "./go.ts";
import { report } from "./report.ts";
import { add, type Tally, verdict } from "./tally.ts";

export interface FuzzTarget {
  readonly name: string;
  readonly kind: "go" | "bun";
  /** The package's directory, or the test file, from the root. */
  readonly path: string;
}

export interface FuzzResult {
  readonly ok: boolean;
  /** Inputs tried, as far as the runner counts them. */
  readonly inputs: number;
  readonly seconds: number;
  readonly output: string;
}

/** Beyond its time a target still builds, and is slow to stop on a busy machine. */
const GRACE_S = 300;

/** Every target of the checkout, by name. */
export function fuzzTargets(root: string): FuzzTarget[] {
  const go = goModules(root).filter((module) => module.startsWith("vendor/")).flatMap((module) =>
    globSync(`${module}/**/*_test.go`, { cwd: root }).flatMap((file) =>
      [...readFileSync(`${root}/${file}`, "utf8").matchAll(/^func (Fuzz\w+)\(/gm)].map((match) => ({
        name: `${dirname(file).replace(/^vendor\//, "")} ${match[1]}`,
        kind: "go" as const,
        path: dirname(file),
      }))
    )
  );
  const bun = globSync("test/**/*_test.ts", { cwd: root }).filter((file) =>
    /from "(?:(?:\.\.\/)+support\/mutate\.ts|fast-check)"/.test(
      readFileSync(`${root}/${file}`, "utf8"),
    )
  ).map((file) => ({ name: file, kind: "bun" as const, path: file }));
  return [...go, ...bun].sort((one, other) => one.name < other.name ? -1 : 1);
}

/** Searches for at least so long; a found input is in the output, as its finder writes it down. */
export async function fuzz(root: string, target: FuzzTarget, seconds: number): Promise<FuzzResult> {
  return target.kind === "go"
    ? await fuzzGo(root, target, seconds)
    : await fuzzBun(root, target, seconds);
}

/** A minute of the suite in all. The mutation tests of the TypeScript run there as tests. */
const SUITE_S = 60;

/** The Go targets for a little while each, one verdict a target. */
export async function searchBriefly(root: string): Promise<Tally> {
  const targets = fuzzTargets(root).filter(({ kind }) => kind === "go");
  const tallies: Tally[] = [];
  for (const target of targets) {
    const { ok, inputs, seconds, output } = await fuzz(root, target, SUITE_S / targets.length);
    const tally = verdict(ok);
    report(`fuzz ${target.name} (${inputs} inputs)`, tally, seconds, output);
    tallies.push(tally);
  }
  return add(...tallies);
}

async function fuzzGo(root: string, { name, path }: FuzzTarget, seconds: number) {
  const test = name.split(" ").at(-1) ?? "";
  const argv = [
    "go",
    "test",
    "-run",
    "^$",
    "-fuzz",
    `^${test}$`,
    `-fuzztime=${Math.ceil(seconds)}s`,
  ]
    // Its default makes a corpus smaller for a minute at a time, and tries nothing new meanwhile.
    .concat([
      "-fuzzminimizetime=10x",
      "-parallel=2",
      ".",
      `-test.fuzzcachedir=${root}/.cache/fuzz`,
    ]);
  const outcome = await run(argv, { cwd: `${root}/${path}`, limit: seconds + GRACE_S });
  const inputs = Math.max(
    0,
    ...[...outcome.output.matchAll(/execs: (\d+)/g)].map(([, n]) => Number(n)),
  );
  const ok = outcome.status === 0 || isOverdue(outcome.output);
  return { ok, inputs, seconds: outcome.seconds, output: outcome.output };
}

/**
 * Go's fuzzer reports its own deadline as a failure of the target when a worker is at an input as the
 * time ends (golang/go#75804). A target that failed writes the input, or its message, down beside that.
 */
export function isOverdue(output: string): boolean {
  const [, failure = ""] = /^--- FAIL: Fuzz\w+ \([\d.]+s\)\n([^]*?)^FAIL$/m.exec(output) ?? [];
  return failure.trim() === "context deadline exceeded";
}

/** One seed after another, until the time is over. */
async function fuzzBun(root: string, { path }: FuzzTarget, seconds: number): Promise<FuzzResult> {
  const began = performance.now();
  let inputs = 0;
  do {
    const seed = 1 + Math.floor(Math.random() * 0x7fff_fffe);
    process.env.SBX_FUZZ_SEED = String(seed);
    process.env.SBX_FUZZ_COUNT = "1";
    const argv = ["bun", "test", "--timeout", "300000", `./${path}`];
    const { status, output } = await run(argv, { cwd: root, limit: seconds + GRACE_S });
    for (const [, tried] of output.matchAll(/fuzz inputs: (\d+)/g)) inputs += Number(tried);
    if (status !== 0) {
      const again = `again: SBX_FUZZ_SEED=${seed} bun test ./${path}\n`;
      return { ok: false, inputs, seconds: since(began), output: output + again };
    }
  } while (since(began) < seconds);
  return { ok: true, inputs, seconds: since(began), output: "" };
}

function since(began: number): number {
  return (performance.now() - began) / 1000;
}

/**
 * How long it takes to start: a guest with a command in it, that boots or goes on from a template, beside
 * the bare machine; many of them; and sbx itself.
 *
 * @module
 */
import { spawn, spawnSync } from "node:child_process";
import { join } from "node:path";
import { ROOT, SBX } from "../../test/support/world.ts";
import { bareGuest } from "./bare_guest.ts";
import { bareRestore } from "./bare_restore.ts";
import type { Bench, Benchmark, Round } from "./benchmark.ts";
import { interleave } from "./rounds.ts";
import { formatTable } from "./table.ts";

const FIGURE = { key: "ms", title: "until it has ended", unit: "ms" } as const;

function timed(argv: readonly string[]): { readonly ms: number } {
  const [command = "", ...args] = argv;
  const began = performance.now();
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  const ms = performance.now() - began;
  if (status === 0) return { ms };
  throw new Error(`${argv.join(" ")} ended with ${status}: ${stderr || error?.message}`);
}

const MANY = 16;

const WARM = [SBX, "run", "--quiet", "--", "true"];

const DISK = ["--disk", "4G"];

/** When it began and when it had ended, in milliseconds. */
function lifetime([command = "", ...args]: readonly string[]): Promise<number> {
  const began = performance.now();
  const child = spawn(command, args, { stdio: "ignore" });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (status) => {
      if (status === 0) resolve(performance.now() - began);
      else reject(new Error(`${command} ${args.join(" ")} ended with ${status}`));
    });
  });
}

/** Of many starts, how long the usual one, the slow ones and all of them took. */
async function many(start: () => Promise<readonly number[]>): Promise<Round> {
  const began = performance.now();
  const sorted = [...await start()].sort((a, b) => a - b);
  const all = performance.now() - began;
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? NaN;
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99), all };
}

async function inTurn(start: () => Promise<number>): Promise<readonly number[]> {
  const each: number[] = [];
  for (let count = 0; count < MANY; count++) each.push(await start());
  return each;
}

const atOnce = () => Promise.all(Array.from({ length: MANY }, () => lifetime(WARM)));

/** As usual in the field: until the first command has succeeded, which is the end of `sbx run`. */
async function measureMany(bench: Bench): Promise<void> {
  const bare = await bareRestore();
  const series = await interleave(
    [
      { name: "bare restore", round: () => many(() => inTurn(bare)) },
      { name: `${MANY} in turn`, round: () => many(() => inTurn(() => lifetime(WARM))) },
      { name: `${MANY} at once`, round: () => many(atOnce) },
    ],
    bench.rounds(5),
    { note: bench.note },
  );
  bench.print(
    formatTable({
      title: "starts from a template",
      figures: [
        { key: "p50", title: "p50", unit: "ms" },
        { key: "p95", title: "p95", unit: "ms" },
        { key: "p99", title: "p99", unit: "ms" },
        { key: "all", title: "all of them", unit: "ms" },
      ],
      series,
      aims: [{ figure: "p50", of: `${MANY} in turn`, against: "bare restore", atMost: 1.8 }],
    }),
  );
}

export const benchmark: Benchmark = async (bench) => {
  const bare = await bareGuest();
  timed([SBX, "template", "build", "--quiet"]);
  timed([SBX, "template", "build", "--quiet", "--no-root"]);
  const run = [SBX, "run", "--quiet", "--no-template"];
  const { against } = bench;
  const other = against === undefined ? [] : [{
    name: "the other build",
    round: () => timed([against, "run", "--quiet", "--", "true"]),
  }];
  const guests = await interleave(
    [
      { name: "bare qemu", round: async () => ({ ms: await bare() }) },
      { name: "sbx run -- true", round: () => timed([...run, "--", "true"]) },
      { name: "from a template", round: () => timed(WARM) },
      { name: "with a disk", round: () => timed([...run, ...DISK, "--", "true"]) },
      { name: "and a template", round: () => timed([SBX, "run", "-q", ...DISK, "--", "true"]) },
      ...other,
      { name: "with --no-net", round: () => timed([...run, "--no-net", "--", "true"]) },
    ],
    bench.rounds(11),
    { note: bench.note },
  );
  bench.print(
    formatTable({
      title: "start of a guest",
      figures: [FIGURE],
      series: guests,
      aims: [{ figure: "ms", of: "sbx run -- true", against: "bare qemu", atMost: 1.2 }],
    }),
  );
  await measureMany(bench);
  const wrapper = join(ROOT, "scripts/sbx");
  const programs = await interleave(
    [
      { name: "sbx version", round: () => timed([SBX, "version"]) },
      { name: "scripts/sbx version", round: () => timed([wrapper, "version"]) },
    ],
    bench.rounds(31),
  );
  bench.print(
    formatTable({ title: "start of sbx itself", figures: [FIGURE], series: programs }),
  );
};

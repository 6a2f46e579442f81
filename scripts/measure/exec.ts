/**
 * A command in a named sandbox that runs, by the library and by the command line, beside a process of this machine;
 * and what a thousand of them leave with the supervisor.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Sandbox } from "../../lib/mod.ts";
import { residentMiB } from "../../test/support/process_memory.ts";
import { SBX } from "../../test/support/world.ts";
import type { Bench, Benchmark, Round } from "./benchmark.ts";
import { interleave } from "./rounds.ts";
import { formatTable } from "./table.ts";

const NAME = "bench";
const EACH = 50;
const MANY = 1_000;
const AT_ONCE = 64;

const FIGURES = [
  { key: "p50", title: "p50", unit: "ms", digits: 1 },
  { key: "p99", title: "p99", unit: "ms", digits: 1 },
];

function ended(argv: readonly string[]): Promise<void> {
  const [command = "", ...args] = argv;
  const child = spawn(command, args, { stdio: "ignore" });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once(
      "close",
      (status) =>
        status === 0 ? resolve() : reject(new Error(`${argv.join(" ")} ended with ${status}`)),
    );
  });
}

/** Milliseconds of one after the other, in order of size. */
async function inTurn(count: number, one: () => Promise<unknown>): Promise<number[]> {
  const each: number[] = [];
  for (let at = 0; at < count; at++) {
    const began = performance.now();
    await one();
    each.push(performance.now() - began);
  }
  return each.sort((a, b) => a - b);
}

function roundOf(sorted: readonly number[]): Round {
  const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

/** What a process holds: megabytes, descriptors, and children of its own. */
function holds(pid: number): readonly [megabytes: number, descriptors: number, children: number] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(/\s+/);
  return [
    Math.round(residentMiB(pid)),
    readdirSync(`/proc/${pid}/fd`).length,
    children.filter((each) => each !== "").length,
  ];
}

export const benchmark: Benchmark = async (bench: Bench) => {
  const state = mkdtempSync(join(tmpdir(), "sbx-bench-"));
  process.env["XDG_STATE_HOME"] = state;
  try {
    await ended([SBX, "run", "-d", "-q", "-n", NAME, "--no-net", "--", "sleep", "1000000"]);
    await using sandbox = await Sandbox.get(NAME);
    const library = () => sandbox.exec("/bin/true").output();
    const series = await interleave(
      [
        {
          name: "a process here",
          round: async () => roundOf(await inTurn(EACH, () => ended(["/bin/true"]))),
        },
        { name: "exec, library", round: async () => roundOf(await inTurn(EACH, library)) },
        {
          name: "sbx exec",
          round: async () =>
            roundOf(await inTurn(EACH, () => ended([SBX, "exec", NAME, "--", "/bin/true"]))),
        },
      ],
      bench.rounds(5),
      { note: bench.note },
    );
    bench.print(
      formatTable({ title: "a command in a sandbox that runs", figures: FIGURES, series }),
    );
    const text = readFileSync(join(state, "sbx/sandboxes", NAME, "state.json"), "utf8");
    const { pid } = JSON.parse(text);
    await inTurn(100, library);
    const before = holds(pid);
    const { p50, p99 } = roundOf(await inTurn(MANY, library));
    for (let count = 0; count < MANY; count += AT_ONCE) {
      await Promise.all(Array.from({ length: AT_ONCE }, library));
    }
    const after = holds(pid);
    bench.print(
      `${MANY} in turn: p50 ${p50?.toFixed(1)} ms, p99 ${
        p99?.toFixed(1)
      } ms; then ${MANY}, ${AT_ONCE} at once\n` +
        `the supervisor before: ${before[0]} MB, ${before[1]} descriptors, ${
          before[2]
        } children\n` +
        `               after:  ${after[0]} MB, ${after[1]} descriptors, ${after[2]} children\n`,
    );
  } finally {
    await ended([SBX, "rm", "--force", NAME]).catch(() => {});
    rmSync(state, { recursive: true, force: true });
  }
};

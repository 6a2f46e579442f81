/**
 * How long it takes to start: a guest with a command in it, beside the bare machine; and sbx itself.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { ROOT, SBX } from "../../test/support/world.ts";
import { bareGuest } from "./bare_guest.ts";
import type { Benchmark } from "./benchmark.ts";
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

export const benchmark: Benchmark = async (bench) => {
  const bare = await bareGuest();
  const run = [SBX, "run", "--quiet"];
  const { against } = bench;
  const other = against === undefined ? [] : [{
    name: "the other build",
    round: () => timed([against, "run", "--quiet", "--", "true"]),
  }];
  const guests = await interleave(
    [
      { name: "bare qemu", round: async () => ({ ms: await bare() }) },
      { name: "sbx run -- true", round: () => timed([...run, "--", "true"]) },
      ...other,
      { name: "with --no-net", round: () => timed([...run, "--no-net", "--", "true"]) },
    ],
    bench.rounds(11),
    { note: bench.note },
  );
  bench.print(
    formatTable({
      title: "cold start of a guest",
      figures: [FIGURE],
      series: guests,
      aims: [{ figure: "ms", of: "sbx run -- true", against: "bare qemu", atMost: 1.2 }],
    }),
  );
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

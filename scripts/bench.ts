/**
 * Runs the benchmarks named, or all of them, one after the other, and prints a table each: medians of
 * interleaved rounds, ratios, and whether the ratios are what was aimed at.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import type { Benchmark } from "./measure/benchmark.ts";
import { describeMachine } from "./measure/machine.ts";

/** One line a benchmark; each is a module that exports its `benchmark`. */
const BENCHMARKS: Readonly<Record<string, () => Promise<{ readonly benchmark: Benchmark }>>> = {
  dns: () => import("./measure/dns.ts"),
  exec: () => import("./measure/exec.ts"),
  files: () => import("./measure/files.ts"),
  network: () => import("./measure/network.ts"),
  memory: () => import("./measure/memory.ts"),
  start: () => import("./measure/start.ts"),
  policy: () => import("./measure/policy.ts"),
  secrets: () => import("./measure/secrets.ts"),
  tls: () => import("./measure/tls.ts"),
};

const { rounds, against, names } = readArguments();

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  process.once(signal, () => process.exit(1)); // What was started ends with its stdin or its parent.
}

const out = (text: string) => process.stdout.write(text);
out(describeMachine());
for (const name of names) {
  const load = BENCHMARKS[name];
  if (load === undefined) continue;
  const { benchmark } = await load();
  process.stderr.write(`measuring ${name}\n`);
  await benchmark({
    ...(against === undefined ? {} : { against }),
    rounds: (usual) => rounds ?? usual,
    print: (text) => out(`\n${text}`),
    note: (line) => process.stderr.write(`  ${line}\n`),
  });
}

interface Arguments {
  readonly rounds: number | undefined;
  readonly against: string | undefined;
  readonly names: string[];
}

function readArguments(): Arguments {
  try {
    const options = { rounds: { type: "string" }, against: { type: "string" } } as const;
    const { values, positionals } = parseArgs({ allowPositionals: true, options });
    const rounds = values.rounds === undefined ? undefined : Number(values.rounds);
    const known = positionals.every((name) => name in BENCHMARKS);
    if (known && (rounds === undefined || Number.isInteger(rounds) && rounds > 0)) {
      const names = positionals.length > 0 ? positionals : Object.keys(BENCHMARKS);
      return { rounds, against: values.against, names };
    }
  } catch {
    // An option that there is not.
  }
  process.stderr.write(`usage: scripts/bench [--rounds N] [--against SBX] [NAME…]
  names: ${Object.keys(BENCHMARKS).join(" ")}\n`);
  process.exit(2);
}

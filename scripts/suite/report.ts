import process from "node:process";
import type { Tally } from "./tally.ts";

/** One line a runner; its whole output only when something failed. */
export function report(name: string, tally: Tally, seconds: number, output: string): void {
  const bad = tally.failed > 0;
  const skipped = tally.skipped > 0 ? `, ${tally.skipped} skipped` : "";
  if (bad) process.stdout.write(`\n${output.trimEnd()}\n\n`);
  process.stdout.write(
    `${bad ? "FAIL" : "ok  "} ${name}: ${tally.passed} passed, ${tally.failed} failed${skipped}` +
      ` (${seconds.toFixed(1)} s)\n`,
  );
}

/**
 * The machine that numbers are from; without it they mean nothing.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { cpus, loadavg, release, totalmem } from "node:os";
import { resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");

export function describeMachine(): string {
  const [first, ...others] = cpus();
  const memory = (totalmem() / 2 ** 30).toFixed(0);
  const busy = loadavg()[0] ?? 0;
  return [
    `sbx       ${output("git", ["-C", ROOT, "describe", "--always", "--dirty", "--exclude=*"])}`,
    `machine   ${others.length + 1} x ${first?.model.trim() ?? "unknown"}, ${memory} GiB`,
    `kernel    ${release()}`,
    `date      ${new Date().toISOString()}`,
    `load      ${busy.toFixed(1)}${
      busy > 1 ? ": others use this machine; only ratios mean much" : ""
    }`,
  ].join("\n") + "\n";
}

function output(command: string, argv: readonly string[]): string {
  try {
    return execFileSync(command, argv, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] })
      .trim();
  } catch {
    return "unknown";
  }
}

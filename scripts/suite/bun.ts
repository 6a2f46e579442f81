import { globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { run } from "./command.ts";
import { report } from "./report.ts";
import { add, type Tally } from "./tally.ts";

/**
 * What tests need beside themselves: nothing, a guest in a namespace, or a machine that boots. Two of those
 * with guests run beside each other: one mostly waits for a machine, the other for the network.
 */
export type Kind = "plain" | "network" | "machine";

export function kindOf(path: string): Kind {
  if (path.startsWith("test/network/")) return "network";
  return path.startsWith("test/e2e/") ? "machine" : "plain";
}

/** Files of one process: those of a folder, and each that has a guest by itself. */
export function groups(root: string, wanted: (path: string) => boolean): Map<string, string[]> {
  const byName = new Map<string, string[]>();
  for (const file of globSync("test/**/*_test.ts", { cwd: root }).sort()) {
    if (!wanted(file)) continue;
    const name = kindOf(file) === "plain" ? dirname(file) : file;
    byName.set(name, [...byName.get(name) ?? [], file]);
  }
  return byName;
}

/** The totals at the head of a JUnit report, which Bun writes once it has run everything. */
export function tallyJunit(xml: string): Tally {
  const head = /<testsuites\b[^>]*>/.exec(xml)?.[0] ?? "";
  const number = (name: string) => Number(new RegExp(`\\b${name}="(\\d+)"`).exec(head)?.[1] ?? 0);
  const failed = number("failures") + number("errors");
  const skipped = number("skipped");
  return { passed: number("tests") - failed - skipped, failed, skipped };
}

export async function testBun(
  root: string,
  name: string,
  files: readonly string[],
): Promise<Tally> {
  const directory = mkdtempSync(join(tmpdir(), "sbx-junit-"));
  const xml = join(directory, "report.xml");
  try {
    const argv = ["bun", "test", "--timeout", "120000", "--reporter=junit"];
    const { status, output, seconds } = await run(
      [...argv, `--reporter-outfile=${xml}`, ...files.map((file) => `./${file}`)],
      { cwd: root, limit: 1200 },
    );
    const counted = readTally(xml);
    // No report is a crash, and a bad status without a failed test is an error outside of any test.
    const tally = status !== 0 && counted.failed === 0
      ? add(counted, { passed: 0, failed: 1, skipped: 0 })
      : counted;
    report(`bun test ${name}`, tally, seconds, output);
    return tally;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function readTally(xml: string): Tally {
  try {
    return tallyJunit(readFileSync(xml, "utf8"));
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}

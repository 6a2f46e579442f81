import { globSync } from "node:fs";
import { dirname } from "node:path";
import { run } from "./command.ts";
import { report } from "./report.ts";
import { add, NOTHING, type Tally } from "./tally.ts";

/** Every Go module of the repository, as a path from its root. */
export function goModules(root: string): string[] {
  return ["vendor/*/go.mod", "test/support/*/go.mod"]
    .flatMap((pattern) => globSync(pattern, { cwd: root }))
    .map((file) => dirname(file)).sort();
}

/** One line of `go test -json`, as far as it is counted. */
interface TestEvent {
  readonly Action?: string;
  readonly Package?: string;
  readonly Test?: string;
  readonly Output?: string;
}

/**
 * Counts tests and subtests that have none below them, so that a table counts by its rows. A package
 * that fails without a failed test (it does not build, it panicked) counts as one failure.
 */
export function tallyGoEvents(json: string): { tally: Tally; text: string } {
  const outcome = new Map<string, string>();
  const parents = new Set<string>();
  const broken = new Set<string>();
  const text: string[] = [];
  for (const line of json.split("\n")) {
    let event: TestEvent;
    try {
      event = JSON.parse(line) as TestEvent;
    } catch {
      text.push(line + "\n"); // The compiler's words come bare.
      continue;
    }
    text.push(event.Output ?? "");
    if (event.Action !== "pass" && event.Action !== "fail" && event.Action !== "skip") continue;
    if (event.Test === undefined) {
      if (event.Action === "fail") broken.add(event.Package ?? "");
      continue;
    }
    const id = `${event.Package} ${event.Test}`;
    outcome.set(id, event.Action);
    if (id.includes("/", id.indexOf(" "))) parents.add(id.slice(0, id.lastIndexOf("/")));
  }
  const count = (action: string) =>
    [...outcome].filter(([id, was]) => was === action && !parents.has(id)).length;
  const failed = count("fail");
  const silent =
    [...broken].filter((name) =>
      ![...outcome].some(([id, was]) => was === "fail" && id.startsWith(`${name} `))
    ).length;
  return {
    tally: { passed: count("pass"), failed: failed + silent, skipped: count("skip") },
    text: text.join(""),
  };
}

/** Tests of one module: all packages, or those that hold a test file whose path contains a name. */
export async function testGo(
  root: string,
  module: string,
  wanted: (path: string) => boolean,
): Promise<Tally> {
  const files = globSync(`${module}/**/*_test.go`, { cwd: root }).filter(wanted);
  if (files.length === 0) return NOTHING;
  const packages = [
    ...new Set(files.map((file) => `./${dirname(file).slice(module.length + 1)}`)),
  ];
  const started = await run(["go", "test", "-json", "-timeout", "600s", ...packages], {
    cwd: `${root}/${module}`,
    limit: 900,
  });
  const { tally, text } = tallyGoEvents(started.output);
  const honest = started.status !== 0 && tally.failed === 0 ? { ...tally, failed: 1 } : tally;
  report(`go test ${module}`, honest, started.seconds, text);
  return add(honest);
}

import { run } from "./command.ts";
import { report } from "./report.ts";
import { add, type Tally, verdict } from "./tally.ts";

/** Formatting, lint, types and documentation of the TypeScript; what they look at is said in deno.json. */
export async function checkTypeScript(root: string): Promise<Tally> {
  const tallies: Tally[] = [];
  for (
    const [name, argv] of [
      ["deno fmt --check", ["deno", "fmt", "--check"]],
      ["deno lint", ["deno", "lint"]],
      ["deno check", ["deno", "check", "main.ts", "lib", "test", "scripts"]],
      ["deno doc --lint", ["deno", "doc", "--lint", "lib/mod.ts"]],
    ] as const
  ) {
    let outcome = await run(argv, { cwd: root, limit: 300 });
    // The linter with a plug-in was seen to die of SIGSEGV at its exit, once in some hundred runs; that
    // says nothing about the code.
    if (outcome.status > 128) outcome = await run(argv, { cwd: root, limit: 300 });
    const { status, output, seconds } = outcome;
    const tally = verdict(status === 0);
    report(name, tally, seconds, output);
    tallies.push(tally);
  }
  return add(...tallies);
}

/** What is released for platforms that no test runs on has to compile for them at the least, its tests as well. */
const ELSEWHERE: Readonly<Record<string, readonly string[]>> = {
  "vendor/netstack": ["darwin/amd64", "darwin/arm64", "linux/arm64"],
  "vendor/agent": ["linux/arm64"],
};

async function buildElsewhere(cwd: string, module: string): Promise<Tally[]> {
  const tallies: Tally[] = [];
  for (const platform of ELSEWHERE[module] ?? []) {
    const [GOOS = "", GOARCH = ""] = platform.split("/");
    const env = { GOOS, GOARCH, CGO_ENABLED: "0" };
    for (
      const [name, argv] of [
        ["go build", ["go", "build", "-o", "/dev/null", "."]],
        ["go vet", ["go", "vet", "./..."]],
      ] as const
    ) {
      const { status, seconds, output } = await run(argv, { cwd, env, limit: 600 });
      const tally = verdict(status === 0);
      report(`${name} ${module} for ${platform}`, tally, seconds, output);
      tallies.push(tally);
    }
  }
  return tallies;
}

/** gofmt prints the names of files that it would change; vet has a status. */
export async function checkGo(root: string, module: string): Promise<Tally> {
  const cwd = `${root}/${module}`;
  const format = await run(["gofmt", "-l", "."], { cwd, limit: 60 });
  const formatted = verdict(format.status === 0 && format.output.trim() === "");
  report(`gofmt ${module}`, formatted, format.seconds, format.output);
  const vet = await run(["go", "vet", "./..."], { cwd, limit: 600 });
  const vetted = verdict(vet.status === 0);
  report(`go vet ${module}`, vetted, vet.seconds, vet.output);
  return add(formatted, vetted, ...await buildElsewhere(cwd, module));
}

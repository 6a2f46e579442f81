/**
 * The commands that README and docs show, and who runs each of them.
 *
 * @module
 */
import { globSync } from "node:fs";
import { commandsIn, type Fence, fencesIn } from "./documents.ts";
import { ROOT } from "./world.ts";

const NO_DOCKER =
  "no machine of ours has Docker or its registry; test/e2e/root_test.ts makes a tree by hand";

/** What cannot run in a test, and why. */
export const LEFT_OUT: Readonly<Record<string, string>> = {
  "./scripts/test                                       # the whole suite":
    "it is what runs the test of the documents",
  "sudo install -m 755 dist/sbx /usr/local/bin/sbx   # puts sbx on the PATH":
    "it changes the machine; scripts/test-release installs packages, in a Debian of their own",
  "./scripts/bench                              # all of them":
    "it measures for an hour, and wants the machine for itself",
  "./scripts/bench --rounds 5 network start     # some, with fewer rounds than usual":
    "it measures for minutes, against programs that it installs",
  "./scripts/bench --against old/dist/sbx start # beside another build of sbx":
    "there is no other build",
  "sbx run --secret-aws 'AWS=file:~/.aws/credentials#work@*.amazonaws.com' -- aws s3 ls":
    "no distribution that guests run from has Amazon's program; scripts/test-aws runs its client",
  "debootstrap --variant=minbase --include=ca-certificates bookworm tree":
    "it takes minutes and a mirror; test/e2e/root_test.ts makes a small tree by hand",
  "docker create --name made alpine:3.20": NO_DOCKER,
  "mkdir tree && docker export made | sudo tar -xp -C tree": NO_DOCKER,
  "docker rm made": NO_DOCKER,
};

/** No package has Lima 2.2: scripts/test-lima runs its driver, and Lima's own limactl. */
const LIMA = "docs/lima.md";

/** Who runs a command: the tests of this name. */
export type Runner = "guest" | "jq" | "secret clients" | "lima" | "nobody";

export interface Shown {
  readonly page: string;
  readonly command: string;
  readonly runner: Runner;
}

export const PAGES: readonly string[] = [
  "README.md",
  ...globSync("docs/*.md", { cwd: ROOT }).sort(),
];

export const FENCES: readonly Fence[] = PAGES.flatMap((page) => fencesIn(page));

/** Throws for a command that nobody would run. */
export function shownCommands(): Shown[] {
  return FENCES.filter(({ language }) => language === "sh").flatMap(({ page, line, code }) =>
    commandsIn(code).map((command) => {
      const runner = runnerOf(page, command);
      if (runner === undefined) throw new Error(`${page}:${line}: no test runs: ${command}`);
      return { page, command, runner };
    })
  );
}

function runnerOf(page: string, command: string): Runner | undefined {
  if (Object.hasOwn(LEFT_OUT, command)) return "nobody";
  if (page === LIMA || command.startsWith("sbx lima ")) return "lima";
  if (command.startsWith("jq ")) return "jq";
  if (!/^(?:\.\/scripts\/)?sbx /.test(command)) return undefined;
  // What is shown for a program of the reader's own is no recipe.
  const isRecipe = page === "docs/secrets.md" && command.startsWith("sbx run ") &&
    !/ -- \.\//.test(command);
  return isRecipe ? "secret clients" : "guest";
}

import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import process from "node:process";
import { goEnvironment, HERE, nameOf, type Target } from "../../scripts/binary/target.ts";

const ROOT = resolve(import.meta.dirname, "../..");

/** Where they stand ready, on a machine that has no Go. */
const PROGRAMS = process.env["SBX_TEST_PROGRAMS"];

/**
 * Builds a Go program of test/support; answers its path. Go's cache makes the second time quick. `tags`: with
 * what is too dear to compile for every run of the suite. `target`: where it is to run.
 */
export function buildGo(
  name:
    | "aws"
    | "h2spec"
    | "hostagent"
    | "internet"
    | "limactl"
    | "load"
    | "netip"
    | "oracle"
    | "poweroff"
    | "surroundings"
    | "webclient",
  tags = "",
  target: Target = HERE,
): string {
  if (PROGRAMS !== undefined) return join(PROGRAMS, `${name}${tags}`);
  const path = join(ROOT, ".cache/test", `${name}${tags}${target === HERE ? "" : nameOf(target)}`);
  const { status, stderr, error } = spawnSync("go", ["build", "-tags", tags, "-o", path, "."], {
    cwd: join(ROOT, "test/support", name),
    env: { ...process.env, ...goEnvironment(target) },
    encoding: "utf8",
  });
  if (status !== 0) throw new Error(`${name} does not build: ${stderr || error?.message}`);
  return path;
}

/** Builds test/support/lookup.c against musl; answers its path. */
export function buildLookup(): string {
  const path = join(ROOT, ".cache/test/lookup-musl");
  const source = join(ROOT, "test/support/lookup.c");
  const argv = ["-static", "-O1", "-o", path, source];
  const { status, stderr, error } = spawnSync("musl-gcc", argv, { encoding: "utf8" });
  if (status !== 0) throw new Error(`lookup.c does not build: ${stderr || error?.message}`);
  return path;
}

/** Assembles test/support/argument_count.arm64.s; answers its path. */
export function buildArgumentCount(): string {
  const path = join(ROOT, ".cache/test/argument-count-arm64");
  const source = join(ROOT, "test/support/argument_count.arm64.s");
  for (
    const argv of [
      ["aarch64-linux-gnu-as", "-o", `${path}.o`, source],
      ["aarch64-linux-gnu-ld", "-o", path, `${path}.o`],
    ]
  ) {
    const [command = "", ...args] = argv;
    const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
    if (status !== 0) throw new Error(`${source} does not build: ${stderr || error?.message}`);
  }
  return path;
}

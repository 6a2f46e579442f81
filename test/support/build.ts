import { spawnSync } from "node:child_process";
import { join, resolve } from "node:path";
import process from "node:process";

const ROOT = resolve(import.meta.dirname, "../..");

/**
 * Builds a Go program of test/support; answers its path. Go's cache makes the second time quick. `tags`: with
 * what is too dear to compile for every run of the suite.
 */
export function buildGo(
  name:
    | "aws"
    | "h2spec"
    | "internet"
    | "limactl"
    | "load"
    | "netip"
    | "oracle"
    | "poweroff"
    | "webclient",
  tags = "",
): string {
  const path = join(ROOT, ".cache/test", `${name}${tags}`);
  const { status, stderr, error } = spawnSync("go", ["build", "-tags", tags, "-o", path, "."], {
    cwd: join(ROOT, "test/support", name),
    env: { ...process.env, CGO_ENABLED: "0" },
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

/**
 * What `sbx version` prints, told from what is built.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import type { Target } from "./target.ts";

/** Versions by component, in the order to print them. */
export type BuildInfo = Readonly<Record<string, string>>;

export function buildInfo(root: string, { machine }: Target, version: string): BuildInfo {
  const module = readFileSync(`${root}/vendor/netstack/go.mod`, "utf8");
  const required = (path: string) => new RegExp(`${path} (\\S+)`).exec(module)?.[1] ?? "unknown";
  const kernel = readFileSync(`${root}/.cache/kernel/${machine}/package`, "utf8").split("\n")[0];
  return {
    sbx: version,
    gvisor: required("gvisor.dev/gvisor"),
    "gvisor-tap-vsock": required("github.com/containers/gvisor-tap-vsock"),
    kernel: kernel ?? "unknown",
  };
}

/** The version of deno.json, and the commit where there is one: an unpacked archive has none. */
export function checkoutVersion(root: string): string {
  const { version } = JSON.parse(readFileSync(`${root}/deno.json`, "utf8")) as { version: string };
  try {
    const argv = ["describe", "--always", "--dirty", "--exclude=*"];
    const commit = execFileSync("git", argv, { cwd: root, encoding: "utf8", stdio: "pipe" });
    return `${version} (${commit.trim()})`;
  } catch {
    return version;
  }
}

/**
 * Builds dist/sbx: one file that carries netstack, the agent's boot medium and the kernel. What is
 * embedded is named as further entry points, since no import attribute for files is understood by Bun
 * and Deno alike; lib/host/assets.ts finds it again by its name.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { arch } from "node:os";
import { resolve } from "node:path";
import process from "node:process";

const root = resolve(import.meta.dirname, "..");
const machine = arch() === "arm64" ? "arm64" : "x64";
const bin = `vendor/bin/linux-${machine}`;
const ASSETS = ["netstack", "vmlinux", "initramfs", "notices"] as const;

function step(name: string, command: string, argv: readonly string[], cwd = root): void {
  process.stderr.write(`build:  ${name}\n`);
  const env = { ...process.env, CGO_ENABLED: "0" };
  try {
    execFileSync(command, argv, { cwd, env, stdio: ["ignore", 2, 2] });
  } catch {
    process.stderr.write(`build failed at "${name}": what ${command} said is above\n`);
    process.exit(1);
  }
}

/** A static, stripped, reproducible program of one of our Go modules. */
function goBuild(module: string, linked = ""): void {
  const out = `${root}/${bin}/${module}`;
  const flags = ["-trimpath", "-buildvcs=false", `-ldflags=-s -w -buildid= ${linked}`];
  step(module, "go", ["build", ...flags, "-o", out, "."], `${root}/vendor/${module}`);
}

/** What `sbx version` prints. */
function buildInfo(): string {
  const module = readFileSync(`${root}/vendor/netstack/go.mod`, "utf8");
  const required = (path: string) => new RegExp(`${path} (\\S+)`).exec(module)?.[1] ?? "unknown";
  return JSON.stringify({
    sbx: version,
    gvisor: required("gvisor.dev/gvisor"),
    "gvisor-tap-vsock": required("github.com/containers/gvisor-tap-vsock"),
    kernel: readFileSync(`${root}/.cache/kernel/package`, "utf8").split("\n")[0],
  });
}

/** What lib/host/assets.ts holds unpacked files to. */
function digests(): string {
  const digest = (asset: string) =>
    createHash("sha256").update(readFileSync(`${root}/${bin}/${asset}`)).digest("hex");
  return JSON.stringify(Object.fromEntries(ASSETS.map((asset) => [asset, digest(asset)])));
}

/** An unpacked archive has none, and is built all the same. */
function commit(): string {
  try {
    const argv = ["describe", "--always", "--dirty", "--exclude=*"];
    return ` (${execFileSync("git", argv, { cwd: root, encoding: "utf8", stdio: "pipe" }).trim()})`;
  } catch {
    return "";
  }
}

const version = JSON.parse(readFileSync(`${root}/deno.json`, "utf8")).version + commit();
mkdirSync(`${root}/${bin}`, { recursive: true });
mkdirSync(`${root}/dist`, { recursive: true });
goBuild("netstack", `-X 'main.version=${version}'`);
goBuild("agent");
step("boot medium", `${root}/scripts/initramfs`, []);
step("notices", process.execPath, ["scripts/licences/notices.ts", `${bin}/notices`]);
for (const asset of ASSETS) {
  if (existsSync(`${root}/${bin}/${asset}`)) continue;
  process.stderr.write(`build failed: ${bin}/${asset} is missing; run: scripts/setup\n`);
  process.exit(1);
}

const part = `${root}/dist/.sbx.${process.pid}`;
step("dist/sbx", process.execPath, [
  "build",
  "main.ts",
  ...ASSETS.map((asset) => `./${bin}/${asset}`),
  "--compile",
  "--minify",
  "--bytecode",
  "--format=esm",
  `--define=SBX_BUILD=${buildInfo()}`,
  `--define=SBX_DIGESTS=${digests()}`,
  // A sandbox must not change its mind because of a file in the directory that it was started in.
  "--no-compile-autoload-dotenv",
  "--no-compile-autoload-bunfig",
  "--no-compile-autoload-tsconfig",
  "--no-compile-autoload-package-json",
  `--outfile=${part}`,
]);
renameSync(part, `${root}/dist/sbx`);

/**
 * A tree of small files, as a project's dependencies are one: the same bytes whenever and wherever it is made.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { gzipSync } from "node:zlib";
import { packTar, type TarEntry } from "../../lib/guest/root/tar.ts";
import { random } from "../../test/support/random.ts";

const PACKAGES = 100;
const FILES_EACH = 30;

/** An emulated npm takes most of a minute for all of them. */
const INSTALLED = 20;

/** The square of an even spread between 0 and 1 is a third at the mean: most files are small, and 13 MB are all. */
const SMALLEST = 200;
const SPREAD = 13_100;

const TEXT = 1 << 16;

interface Package {
  readonly name: string;
  /** Paths begin with the package's own name. */
  readonly entries: readonly TarEntry[];
}

/** The packages of the tree, of which each has as many files. */
export function treeOfPackages(): Package[] {
  const numbers = random(14);
  const letters = [..."etaoin shrdlu(){};\n"];
  const text = Uint8Array.from({ length: TEXT }, () => numbers.pick(letters).charCodeAt(0));
  return Array.from({ length: PACKAGES }, (_, index) => {
    const name = `part-${index}`;
    const about = JSON.stringify({ name, version: VERSION, main: "lib/0.js" });
    const entries = [{ path: `${name}/package.json`, data: new TextEncoder().encode(about) }];
    for (let file = 0; file < FILES_EACH - 1; file++) {
      const share = numbers.below(1_000) / 1_000;
      const size = SMALLEST + Math.floor(SPREAD * share * share);
      const from = numbers.below(TEXT - size);
      const directory = ["lib", "lib/internal", "test"][file % 3];
      entries.push({
        path: `${name}/${directory}/${file}.js`,
        data: text.subarray(from, from + size),
      });
    }
    return { name, entries };
  });
}

const VERSION = "1.0.0";

/** Writes what the steps need to a directory: `tree.tar`, `git.tar` with its repository, and what `npm ci` asks for. */
export function writeTree(to: string): void {
  const packages = treeOfPackages();
  const tree = join(to, "tree");
  for (const { path, data } of packages.flatMap(({ entries }) => entries)) {
    mkdirSync(dirname(join(tree, path)), { recursive: true });
    writeFileSync(join(tree, path), data ?? "");
  }
  const own = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "gc.auto=0"];
  const git = (...argv: readonly string[]) => execFileSync("git", [...own, ...argv], { cwd: tree });
  git("init", "--quiet");
  git("add", ".");
  git("commit", "--quiet", "--message", "all of it");
  git("repack", "-a", "-d", "--quiet");
  execFileSync("tar", ["cf", join(to, "git.tar"), "-C", tree, ".git"]);
  rmSync(join(tree, ".git"), { recursive: true });
  execFileSync("tar", ["cf", join(to, "tree.tar"), "-C", tree, "."]);
  rmSync(tree, { recursive: true });
  writeRegistry(packages.slice(0, INSTALLED), to);
}

/** Packages where a lock file says that they are, whatever server that is. */
function writeRegistry(packages: readonly Package[], to: string): void {
  const locked = packages.map(({ name, entries }) => {
    const packed = gzipSync(packTar(entries));
    const path = `${name}/-/${name}-${VERSION}.tgz`;
    mkdirSync(dirname(join(to, "registry", path)), { recursive: true });
    writeFileSync(join(to, "registry", path), packed);
    return [`node_modules/${name}`, {
      version: VERSION,
      resolved: `https://registry.npmjs.org/${path}`,
      integrity: `sha512-${createHash("sha512").update(packed).digest("base64")}`,
    }] as const;
  });
  const dependencies = Object.fromEntries(packages.map(({ name }) => [name, VERSION]));
  const own = { name: "bench", version: VERSION, dependencies };
  const lock = {
    name: own.name,
    version: VERSION,
    lockfileVersion: 3,
    packages: { "": own, ...Object.fromEntries(locked) },
  };
  mkdirSync(join(to, "project"), { recursive: true });
  writeFileSync(join(to, "project/package.json"), JSON.stringify(own));
  writeFileSync(join(to, "project/package-lock.json"), JSON.stringify(lock));
}

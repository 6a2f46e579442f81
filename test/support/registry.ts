/**
 * What package managers and git ask servers for, laid out as files: a Python package index, an npm registry,
 * an index of crates, and a git repository, each with the one small thing `greet` in it.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

export interface Registry {
  /** The commit that the git repository's branch `main` is at. */
  readonly commit: string;
}

/** The URLs of what says where it is itself. */
export interface Origins {
  readonly npm: string;
  readonly crates: string;
}

/** Writes all of them below `files`; `origin` is the URL that files are served under. */
export function publish(
  files: string,
  origin: string,
  { npm, crates }: Origins = { npm: `${origin}/npm`, crates: `${origin}/crates` },
): Registry {
  writePython(join(files, "simple/greet"));
  writeNpm(join(files, "npm"), npm);
  writeCrate(join(files, "crates"), crates);
  const commit = writeGit(join(files, "greet.git"));
  mkdirSync(join(files, "you"));
  symlinkSync("../greet.git", join(files, "you/greet.git"));
  return { commit };
}

function writePython(dir: string): void {
  mkdirSync(dir, { recursive: true });
  const wheel = "greet-1.0-py3-none-any.whl";
  const script = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1], "w") as z:
    z.writestr("greet.py", "text = 'hello from a wheel'\\n")
    z.writestr("greet-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: greet\\nVersion: 1.0\\n")
    z.writestr("greet-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
    z.writestr("greet-1.0.dist-info/RECORD", "")`;
  execFileSync("python3", ["-c", script, join(dir, wheel)]);
  writeFileSync(join(dir, "index.html"), `<!DOCTYPE html><a href="${wheel}">${wheel}</a>\n`);
}

function writeNpm(dir: string, url: string): void {
  const pack = join(dir, "package");
  mkdirSync(pack, { recursive: true });
  const manifest = { name: "greet", version: "1.0.0", main: "index.js" };
  writeFileSync(join(pack, "package.json"), JSON.stringify(manifest));
  writeFileSync(join(pack, "index.js"), 'module.exports = "hello from a tarball";\n');
  execFileSync("tar", ["-czf", join(dir, "greet.tgz"), "-C", dir, "package"]);
  const digest = createHash("sha512").update(readFileSync(join(dir, "greet.tgz"))).digest("base64");
  const dist = { tarball: `${url}/greet.tgz`, integrity: `sha512-${digest}` };
  writeFileSync(
    join(dir, "greet"),
    JSON.stringify({
      name: "greet",
      "dist-tags": { latest: "1.0.0" },
      versions: { "1.0.0": { ...manifest, dist } },
    }),
  );
}

/** A sparse index (RFC 2789) whose registry wants a token for downloads, too. */
function writeCrate(dir: string, url: string): void {
  const pack = join(dir, "greet-1.0.0");
  mkdirSync(join(pack, "src"), { recursive: true });
  const manifest = '[package]\nname = "greet"\nversion = "1.0.0"\nedition = "2021"\n';
  writeFileSync(join(pack, "Cargo.toml"), manifest);
  writeFileSync(join(pack, "src/lib.rs"), "");
  const crate = join(dir, "greet.crate");
  execFileSync("tar", ["-czf", crate, "-C", dir, "greet-1.0.0"]);
  const cksum = createHash("sha256").update(readFileSync(crate)).digest("hex");
  mkdirSync(join(dir, "gr/ee"), { recursive: true });
  const entry = { name: "greet", vers: "1.0.0", deps: [], cksum, features: {}, yanked: false };
  writeFileSync(join(dir, "gr/ee/greet"), JSON.stringify(entry) + "\n");
  const config = { dl: `${url}/{crate}.crate`, "auth-required": true };
  writeFileSync(join(dir, "config.json"), JSON.stringify(config));
}

function writeGit(dir: string): string {
  const git = (...args: string[]) => execFileSync("git", args, { encoding: "utf8" }).trim();
  git("init", "-q", "--bare", "--initial-branch=main", dir);
  const tree = git("-C", dir, "mktree", "--missing");
  const who = ["-c", "user.name=nobody", "-c", "user.email=nobody@allowed.test"];
  const commit = git(...who, "-C", dir, "commit-tree", "-m", "hello from a repository", tree);
  git("-C", dir, "update-ref", "refs/heads/main", commit);
  git("-C", dir, "config", "http.receivepack", "true");
  return commit;
}

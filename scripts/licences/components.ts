/**
 * What a build links: asked of the bundler and of the linked programs, not of lock files, which also name
 * what only tests use.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

export interface Component {
  readonly name: string;
  readonly version: string;
  /** Directory with its licence files. */
  readonly directory: string;
}

/** The npm packages of which the bundle has at least one file. */
export function npmPackages(root: string): Component[] {
  const scratch = mkdtempSync(join(tmpdir(), "sbx-bundle-"));
  try {
    const meta = join(scratch, "meta.json");
    execFileSync(
      process.execPath,
      ["build", "main.ts", "--target=bun", `--metafile=${meta}`, `--outdir=${scratch}`],
      { cwd: root, stdio: "pipe" },
    );
    const { inputs } = JSON.parse(readFileSync(meta, "utf8")) as { inputs: object };
    const found = new Map<string, Component>();
    for (const path of Object.keys(inputs)) {
      const directory = /^.*node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[0];
      if (directory === undefined) continue;
      const manifest = join(root, directory, "package.json");
      const { name, version } = JSON.parse(readFileSync(manifest, "utf8")) as Component;
      found.set(`${name} ${version}`, { name, version, directory: join(root, directory) });
    }
    return sorted(found);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** The Go modules linked into the programs of vendor/bin. */
export function goModules(root: string, programs: readonly string[]): Component[] {
  const cache = execFileSync("go", ["env", "GOMODCACHE"], { encoding: "utf8" }).trim();
  const found = new Map<string, Component>();
  for (const program of programs) {
    const info = execFileSync("go", ["version", "-m", program], { cwd: root, encoding: "utf8" });
    for (const [, name = "", version = ""] of info.matchAll(/^\tdep\t(\S+)\t(\S+)/gm)) {
      const escaped = name.replace(/[A-Z]/g, (letter) => `!${letter.toLowerCase()}`);
      const directory = join(cache, `${escaped}@${version}`);
      found.set(`${name} ${version}`, { name, version, directory });
    }
  }
  return sorted(found);
}

function sorted(found: ReadonlyMap<string, Component>): Component[] {
  return [...found.values()].sort((a, b) => a.name < b.name ? -1 : 1);
}

/**
 * What a package has beside the binary: manual pages, completions, the licence, and texts to read.
 *
 * @module
 */
import { cpSync, globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { wholeTree } from "../../lib/cli/command_tree.ts";
import { COMPLETION_SCRIPTS } from "../../lib/cli/completion_scripts.ts";
import { manPages } from "../../lib/cli/manual.ts";

/** Where a kind of package has completions, by shell. */
export type CompletionPlaces = Readonly<Record<keyof typeof COMPLETION_SCRIPTS, string>>;

/** As the tarball has them; the formula goes by these names. */
export const TARBALL_COMPLETIONS: CompletionPlaces = {
  bash: "completions/sbx.bash",
  zsh: "completions/_sbx",
  fish: "completions/sbx.fish",
  powershell: "completions/sbx.ps1",
};

export function writeCompletions(directory: string, places: Partial<CompletionPlaces>): void {
  for (const [shell, path] of Object.entries(places)) {
    const script = COMPLETION_SCRIPTS[shell as keyof CompletionPlaces];
    mkdirSync(dirname(`${directory}/${path}`), { recursive: true });
    writeFileSync(`${directory}/${path}`, script);
  }
}

/** Lima's driver as packages have it, from the repository's root. */
export const LIMA_DRIVER = "scripts/packages/lima-driver-sbx";

/** The pages' names. */
export async function writeManual(directory: string, version: string): Promise<readonly string[]> {
  const pages = manPages(await wholeTree(), version);
  mkdirSync(directory, { recursive: true });
  for (const [name, text] of pages) writeFileSync(`${directory}/${name}`, text);
  return [...pages.keys()];
}

/** README and the pages that it leads to. */
export function copyPages(root: string, directory: string): void {
  const pages = ["README.md", "ARCHITECTURE.md", ...globSync("docs/*.md", { cwd: root })];
  for (const page of pages) {
    mkdirSync(dirname(`${directory}/${page}`), { recursive: true });
    cpSync(`${root}/${page}`, `${directory}/${page}`);
  }
}

/** The licence of sbx, and those of what the target's binary carries. */
export function copyLicences(root: string, parts: string, directory: string): void {
  cpSync(`${root}/LICENSE`, `${directory}/LICENSE`);
  writeFileSync(`${directory}/NOTICES`, readFileSync(`${root}/${parts}/notices`));
}

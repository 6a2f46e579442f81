/**
 * The project's pages as tests read them.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const ROOT = resolve(import.meta.dirname, "../..");

export function page(name: string): string {
  return readFileSync(join(ROOT, name), "utf8");
}

/** A block between fences, as a reader would copy it. */
export interface Fence {
  readonly page: string;
  /** Of the opening fence. */
  readonly line: number;
  /** What stands behind it: `sh`, `yaml`; empty where nothing does. */
  readonly language: string;
  readonly code: string;
}

export function fencesIn(name: string, text = page(name)): Fence[] {
  return [...text.matchAll(/^```([^\n]*)\n([^]*?)^```$/gm)].map((match) => ({
    page: name,
    line: text.slice(0, match.index).split("\n").length,
    language: match[1] ?? "",
    code: match[2] ?? "",
  }));
}

/** The commands of a shell example, each with the lines that it goes on over. */
export function commandsIn(code: string): string[] {
  const commands: string[] = [];
  let begun = "";
  for (const line of code.split("\n")) {
    begun += `${line}\n`;
    const isWhole = !/\\\n$/.test(begun) && spawnSync("sh", ["-nc", begun]).status === 0;
    if (!isWhole) continue;
    if (!/^(?:#.*)?$/.test(begun.trim())) commands.push(begun.trim());
    begun = "";
  }
  if (begun.trim() !== "") throw new Error(`no shell reads this to its end: ${begun}`);
  return commands;
}

/** A command of a console example, and the lines that it prints on both streams. */
export interface Exchange {
  readonly command: string;
  readonly printed: readonly string[];
}

export function exchangesIn(code: string): Exchange[] {
  return code.split(/^\$ /m).slice(1).map((part) => {
    const [command = "", ...printed] = part.replace(/\n$/, "").split("\n");
    return { command, printed };
  });
}

/** The TypeScript examples of a text, in order. */
export function examplesIn(text: string): string[] {
  const plain = text.replace(/^ \* ?/gm, ""); // a docstring's
  return [...plain.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code = ""]) => code);
}

/**
 * One module of all examples: each sees what the ones before it declared, and may declare it anew.
 * What they import comes from this checkout.
 */
export function moduleOf(examples: readonly string[], last = ""): string {
  const isImport = /^import .*$/gm;
  const imports = examples.flatMap((code) => code.match(isImport) ?? []).map((line) =>
    line.replace(/"\.\/(.*)"/, (_, path) => JSON.stringify(pathToFileURL(join(ROOT, path)).href))
  );
  const bodies = examples.map((code) => `{\n${code.replace(isImport, "")}`);
  return [...new Set(imports), ...bodies, last, "}".repeat(bodies.length)].join("\n");
}

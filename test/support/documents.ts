/**
 * The project's pages as tests read them.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";

const ROOT = resolve(import.meta.dirname, "../..");

export function page(name: string): string {
  return readFileSync(join(ROOT, name), "utf8");
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

/**
 * The recipes of a page: what a shell makes of each command that it shows, told by an `sbx` that only says how it
 * was called. So they can be run as they are written, many of them in one guest.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** One call of `sbx run`. */
export interface Recipe {
  /** Of the section that it stands in. */
  readonly heading: string;
  readonly options: readonly string[];
  readonly command: readonly string[];
}

/** The calls of `sbx run` in the shell examples of a text, in order. */
export function recipesIn(text: string): Recipe[] {
  return examples(text, "sh").flatMap(({ heading, code }) =>
    callsIn(code).flatMap(([word, ...argv]) => {
      const end = argv.indexOf("--");
      if (word !== "run" || end < 0) return [];
      return [{ heading, options: argv.slice(0, end), command: argv.slice(end + 1) }];
    })
  );
}

/** The JavaScript examples that begin with the name of a file. */
export function filesIn(text: string): { readonly name: string; readonly code: string }[] {
  return examples(text, "js").flatMap(({ code }) => {
    const name = /^\/\/ (\S+)\n/.exec(code)?.[1];
    return name === undefined ? [] : [{ name, code }];
  });
}

function examples(text: string, language: string): { heading: string; code: string }[] {
  const found: { heading: string; code: string }[] = [];
  let heading = "";
  for (
    const [, title, word, code = ""] of text.matchAll(/^#+ ([^\n]+)$|^```(\w+)\n(.*?)^```$/gms)
  ) {
    if (title !== undefined) heading = title;
    else if (word === language) found.push({ heading, code });
  }
  return found;
}

const SAYS_HOW = `#!/bin/sh
for word; do printf '%s\\0' "$word"; done >>"$CALLS"
printf '\\n\\0' >>"$CALLS"
`;

function callsIn(code: string): string[][] {
  const bin = mkdtempSync(join(tmpdir(), "sbx-recipes-"));
  try {
    const calls = join(bin, "calls");
    writeFileSync(calls, "");
    writeFileSync(join(bin, "sbx"), SAYS_HOW);
    chmodSync(join(bin, "sbx"), 0o755);
    const PATH = `${bin}:${process.env.PATH}`;
    execFileSync("sh", ["-euc", code], { env: { PATH, CALLS: calls }, cwd: bin });
    const words = readFileSync(calls, "utf8").split("\0");
    const all: string[][] = [[]];
    for (const word of words.slice(0, -1)) {
      if (word === "\n") all.push([]);
      else all.at(-1)?.push(word);
    }
    return all.filter((call) => call.length > 0);
  } finally {
    rmSync(bin, { recursive: true, force: true });
  }
}

/** The options of all of them as those of one run: a secret of several gets the hosts of each. */
export function together(recipes: readonly Recipe[]): string[] {
  const secrets = new Map<string, string>();
  const others = new Set<string>();
  for (const { options } of recipes) {
    for (let at = 0; at < options.length; at += 2) {
      const [flag = "", value = ""] = options.slice(at, at + 2);
      const cut = value.lastIndexOf("@");
      const [declared, hosts] = [value.slice(0, cut), value.slice(cut + 1)];
      if (flag !== "--secret") others.add(JSON.stringify([flag, value]));
      else if (!secrets.has(declared)) secrets.set(declared, hosts);
      else secrets.set(declared, `${secrets.get(declared)},${hosts}`);
    }
  }
  return [
    ...[...secrets].flatMap(([declared, hosts]) => ["--secret", `${declared}@${hosts}`]),
    ...[...others].flatMap((pair) => JSON.parse(pair) as string[]),
  ];
}

/** A command as a line for a shell. */
export function quoted(command: readonly string[]): string {
  return command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
}

import { expect, test } from "bun:test";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";

const ROOT = resolve(import.meta.dirname, "../..");

/** Whoever uses lib from outside: the library's own face, the program, and what tests and measures it. */
const FILES = ["main.ts", ...globSync("{lib,scripts,test}/**/*.ts", { cwd: ROOT })];

/** Text without its comments, in which exports are shown but not made. */
function codeOf(path: string): string {
  return readFileSync(join(ROOT, path), "utf8").replaceAll(/^\s*(?:\/\/|\/\*\*|\*).*$/gm, "");
}

function namesIn(braces: string, which: "inner" | "outer"): string[] {
  return braces.split(",").map((entry) => entry.trim().replace(/^type /, "")).filter(Boolean)
    .map((entry) => entry.split(" as ").at(which === "inner" ? 0 : -1)?.trim() ?? "");
}

/** The names that a file exports itself. */
function exportsOf(code: string): string[] {
  const declared = code.matchAll(
    /^export (?:declare )?(?:abstract )?(?:async )?(?:function\*?|const|class|interface|type) (\w+)/gm,
  );
  const listed = code.matchAll(/^export (?:type )?\{([^}]*)\}/gm);
  return [
    ...[...declared].map((match) => match[1] ?? ""),
    ...[...listed].flatMap((match) => namesIn(match[1] ?? "", "outer")),
  ];
}

/** What a file takes of others: "path name", or "path *" for all that is there. */
function* importsOf(path: string, code: string): Generator<string> {
  const at = (specifier: string) => relative(ROOT, resolve(ROOT, dirname(path), specifier));
  const named = /^(?:import|export) (?:type )?\{([^}]*)\} from "(\.[^"]*)"/gm;
  for (const [, braces = "", from = ""] of code.matchAll(named)) {
    for (const name of namesIn(braces, "inner")) yield `${at(from)} ${name}`;
  }
  const late = /\{ ([\w, ]+) \} = await import\(\s*"(\.[^"]*)"/g;
  for (const [, braces = "", from = ""] of code.matchAll(late)) {
    for (const name of namesIn(braces, "inner")) yield `${at(from)} ${name}`;
  }
  const whole =
    /(?:^(?:import|export) \* (?:as \w+ )?from |(?<!= await )\bimport\(\s*)"(\.[^"]*)"/gm;
  for (const [, from = ""] of code.matchAll(whole)) yield `${at(from)} *`;
}

/** Types may be exported for the signatures beside them, which state them. */
function isStated(code: string, name: string): boolean {
  const isType = new RegExp(`^export (?:abstract )?(?:interface|type|class) ${name}\\b`, "m").test(
    code,
  );
  return isType && code.split(new RegExp(`\\b${name}\\b`)).length > 2;
}

/** "path name" of what lib exports and nobody takes. */
function unused(files: ReadonlyMap<string, string>): string[] {
  const taken = new Set([...files].flatMap(([path, code]) => [...importsOf(path, code)]));
  const isTaken = (path: string, name: string) =>
    taken.has(`${path} ${name}`) || taken.has(`${path} *`);
  return [...files].filter(([path]) => path.startsWith("lib/") && path !== "lib/mod.ts")
    .flatMap(([path, code]) =>
      exportsOf(code).filter((name) => !isTaken(path, name) && !isStated(code, name))
        .map((name) => `${path} ${name}`)
    );
}

test("lib exports nothing that nobody imports", () => {
  const files = new Map(FILES.map((path) => [path, codeOf(path)]));
  expect(unused(files)).toEqual([]);
});

test("an export is used by whoever names it, in whichever way, and by nobody else", () => {
  const files = new Map([
    ["lib/base/a.ts", "export const one = 1;\nexport function two() {}\nexport type Three = 3;\n"],
    [
      "lib/base/b.ts",
      'import { one as uno } from "./a.ts";\nexport { type Three } from "./a.ts";\n',
    ],
    [
      "lib/base/c.ts",
      "export class Late {}\nexport class Beside {}\nexport const never = Beside;\n",
    ],
    ["lib/base/g.ts", "export type Stated = 1;\nexport type Unstated = 2;\nconst x: Stated = 1;\n"],
    ["lib/http/d.ts", 'const { Late } = await import("../base/c.ts");\n'],
    ["lib/http/e.ts", "export interface Shape {}\n"],
    ["lib/cli/f.ts", 'const load = () => import("../http/e.ts");\n'],
    ["lib/mod.ts", 'export { Three } from "./base/b.ts";\nexport const face = 1;\n'],
  ]);
  expect(unused(files)).toEqual([
    "lib/base/a.ts two",
    "lib/base/c.ts never",
    "lib/base/g.ts Unstated",
  ]);
});

import { afterAll, expect, test } from "bun:test";
import { existsSync, globSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { examplesIn, moduleOf, page } from "../support/documents.ts";
import { run } from "../support/process.ts";

const directory = mkdtempSync(join(tmpdir(), "sbx-documents-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const PAGES = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", ...globSync("docs/*.md")];

/** What examples call that is the reader's own. */
const READERS = `
declare function report(line: string): void;
declare function consume(bytes: Uint8Array): void;
`;

test("the TypeScript examples are correct", async () => {
  const files = [...PAGES, "lib/mod.ts"].flatMap((name, index) => {
    const examples = examplesIn(page(name));
    if (examples.length === 0) return [];
    const file = join(directory, `example${index}.ts`);
    writeFileSync(file, `${READERS}${moduleOf(examples)}`);
    return [file];
  });
  expect(files.length).toBeGreaterThanOrEqual(3);
  const argv = ["deno", "check", "--quiet", "--config", `${process.cwd()}/deno.json`, ...files];
  const { status, stderr } = await run(argv, { env: { NO_COLOR: "1" } });
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
});

test("links between the pages lead somewhere", () => {
  const dead = PAGES.flatMap((name) =>
    [...page(name).matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)]
      .map(([, target = ""]) => join(dirname(name), target))
      .filter((path) => !existsSync(path))
      .map((path) => `${name}: ${path}`)
  );
  expect(dead).toEqual([]);
});

test("docs/journal.md has a row for every event", () => {
  const events = [
    ...page("lib/sandbox/journal.ts").matchAll(/readonly event: ("\w+"(?: \| "\w+")*)/g),
  ]
    .flatMap(([, names = ""]) => [...names.matchAll(/"(\w+)"/g)].map(([, name]) => name));
  expect(events).toContain("opened");
  const rows = [...page("docs/journal.md").matchAll(/^\| `(\w+)` +\|/gm)].map(([, name]) => name);
  expect(events.filter((event) => !rows.includes(event))).toEqual([]);
});

test("docs/cli.md names every command", async () => {
  const { stdout } = await run(["bun", "main.ts", "--help"]);
  const commands = [...stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name);
  expect(commands).toContain("doctor");
  const text = page("docs/cli.md");
  expect(commands.filter((name) => !text.includes(`\`sbx ${name}`))).toEqual([]);
});

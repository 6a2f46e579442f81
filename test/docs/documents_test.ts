import { afterAll, expect, test } from "bun:test";
import { existsSync, globSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { NetworkBuilder } from "../../lib/api/network_builder.ts";
import { SandboxBuilder } from "../../lib/api/sandbox_builder.ts";
import { TlsBuilder } from "../../lib/api/tls_builder.ts";
import { EVENTS } from "../../lib/journal/format.ts";
import { type ReasonId, reasonOf, REASONS } from "../../lib/policy/model/reasons.ts";
import { EXEC_OPTIONS } from "../../lib/sandbox/exec_options.ts";
import { copyPages } from "../../scripts/packages/documents.ts";
import { examplesIn, moduleOf, page } from "../support/documents.ts";
import { run } from "../support/process.ts";

const directory = mkdtempSync(join(tmpdir(), "sbx-documents-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const PAGES = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", ...globSync("docs/*.md")];

/** What examples call that is the reader's own. */
const READERS = `
declare function report(line: string): void;
declare function consume(bytes: Uint8Array): void;
declare function currentKey(): Promise<string>;
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

/** Links of pages to files that are not below a directory. */
function deadLinks(names: readonly string[], below: string): string[] {
  return names.flatMap((name) =>
    [...page(name).matchAll(/\]\((?!https?:|#)([^)#]+)[^)]*\)/g)]
      .map(([, target = ""]) => join(dirname(name), target))
      .filter((path) => !existsSync(join(below, path)))
      .map((path) => `${name}: ${path}`)
  );
}

test("links between the pages lead somewhere", () => {
  expect(deadLinks(PAGES, process.cwd())).toEqual([]);
});

test("in a package, too", () => {
  const packed = join(directory, "packed");
  copyPages(process.cwd(), packed);
  writeFileSync(join(packed, "LICENSE"), ""); // stands beside them
  const names = globSync("**/*.md", { cwd: packed });
  expect(names).toContain("docs/tutorial.md");
  expect(deadLinks(names, packed)).toEqual([]);
});

/** What a page's headings are reached by, as forges make it of their words. */
function anchorsOf(name: string): Set<string> {
  const words = [...page(name).matchAll(/^#+ (.+)$/gm)].map(([, text = ""]) => text);
  return new Set(
    words.map((text) => text.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, "").replaceAll(" ", "-")),
  );
}

test("links to a part of a page lead to one of its headings", () => {
  const links = PAGES.flatMap((name) =>
    [...page(name).matchAll(/\]\((?!https?:)([^)#]*)#([^)]+)\)/g)].map((
      [, target = "", anchor = ""],
    ) => ({ name, to: target === "" ? name : join(dirname(name), target), anchor }))
  );
  expect(links.length).toBeGreaterThan(20);
  const dead = links.filter(({ to, anchor }) => !anchorsOf(to).has(anchor));
  expect(dead).toEqual([]);
});

test("docs/journal.md has a row for every event, which names all of its fields and no others", () => {
  // The table of reasons behind it has a row called `dns`, too.
  const [text = ""] = page("docs/journal.md").split(/^\| reason +\|/m);
  const rows = new Map(
    [...text.matchAll(/^\| `([\w-]+)` +\|[^|]*\|(.*)\|$/gm)].map((
      [, name = "", row = ""],
    ) => [name, row]),
  );
  const [, ofFlows = ""] = /^The flow's fields are([^]*?)\n\n/m.exec(text) ?? [];
  const named = (row: string): string[] => {
    const [, other, without] = /as `(\w+)`(?:, without `(\w+)`)?/.exec(row) ?? [];
    if (other !== undefined) return named(rows.get(other) ?? "").filter((name) => name !== without);
    // Words in parentheses are what fields hold.
    const own = row.replace(/\([^)]*\)/g, "");
    const shared = row.includes("the flow's fields") ? ofFlows.replace(/\([^)]*\)/g, "") : "";
    return [...`${own}${shared}`.matchAll(/`(\w+)`/g)].map(([, name = ""]) => name);
  };
  for (const [event, fields] of Object.entries(EVENTS)) {
    expect([event, rows.has(event)]).toEqual([event, true]);
    expect([event, ...new Set(named(rows.get(event) ?? ""))].sort()).toEqual(
      [event, ...Object.keys(fields)].sort(),
    );
  }
});

test("docs/journal.md has the table of reasons as it is", () => {
  const [, text = ""] = page("docs/journal.md").split(/^\| reason +\|/m);
  const written = [
    ...text.matchAll(/^\| `([a-z-]+)` +\| (.*?) +\| +(\d*) +\|$/gm),
  ]
    .map(([, id, clause, status]) => ({ id, clause, status }));
  const table = (Object.keys(REASONS) as ReasonId[]).map((id) => {
    const { clause, page } = reasonOf(id);
    return { id, clause, status: String(page?.status ?? "") };
  });
  expect(written).toEqual(table);
});

test("docs/library.md has every call of the builders and every option of a command", () => {
  const text = `${page("docs/library.md")}${page("docs/tls.md")}`;
  const calls = [SandboxBuilder, NetworkBuilder, TlsBuilder].flatMap(({ prototype }) =>
    Object.entries(Object.getOwnPropertyDescriptors(prototype))
      .filter(([name, { get }]) => get === undefined && !/^(?:constructor|build)$/.test(name))
      .map(([name]) => name)
  );
  expect(calls).toContain("workdir");
  expect(calls.filter((name) => !text.includes(`${name}(`))).toEqual([]);
  const options = Object.keys(EXEC_OPTIONS);
  const [, table = ""] = /^\| option ([^]*?)\n\n/m.exec(text) ?? [];
  const rows = [...table.matchAll(/^\| `(\w+)`/gm)].map(([, name]) => name);
  expect(rows).toEqual(options);
});

test("docs/cli.md names every command", async () => {
  const { stdout } = await run(["bun", "main.ts", "--help"]);
  const commands = [...stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name]) => name);
  expect(commands).toContain("doctor");
  const text = page("docs/cli.md");
  expect(commands.filter((name) => !text.includes(`\`sbx ${name}`))).toEqual([]);
});

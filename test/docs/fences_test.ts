/**
 * Every block between fences in README and docs is looked at by somebody: policies are loaded, programs are
 * type-checked, sessions replayed here; what takes a guest is run by test/e2e/documents_test.ts and the recipes of
 * docs/secrets.md by test/e2e/secret_clients_test.ts.
 */
import { afterAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { openJournal } from "../../lib/journal/file.ts";
import { readPrinted } from "../../lib/secret/printed_value.ts";
import { commandsIn, exchangesIn, fencesIn, page } from "../support/documents.ts";
import { type Run, run } from "../support/process.ts";
import { quoted, recipesIn } from "../support/recipes.ts";
import { FENCES, LEFT_OUT, shownCommands } from "../support/shown_commands.ts";

const ROOT = resolve(import.meta.dirname, "../..");

const LANGUAGES = ["sh", "console", "yaml", "json", "ts", "js", "text"];

const directory = mkdtempSync(join(tmpdir(), "sbx-fences-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** What the pages take for granted in the reader's directory. */
mkdirSync(join(directory, "lists"));
writeFileSync(join(directory, "lists/ads.txt"), "ads.example\n");
for (const { language, code } of FENCES) {
  const name = /^# (\S+\.yaml)\n/.exec(code)?.[1];
  if (language === "yaml" && name !== undefined) writeFileSync(join(directory, name), code);
}
writeFileSync(
  join(directory, "sbx"),
  `#!/bin/sh\nexec ${quoted([process.execPath, join(ROOT, "main.ts")])} "$@"\n`,
  { mode: 0o755 },
);

function shell(command: string): Promise<Run> {
  const env = { PATH: `${directory}:${process.env.PATH}`, HOME: directory, NO_COLOR: "1" };
  return run(["sh", "-c", `exec 2>&1; ${command}`], { cwd: directory, env });
}

const of = (language: string) =>
  FENCES.filter((fence) => fence.language === language)
    .map((fence) => [`${fence.page}:${fence.line}`, fence] as const);

test("each block says what it is, and those that say nothing else have no command in them", () => {
  expect(FENCES.length).toBeGreaterThan(30);
  for (const { page, line, language, code } of FENCES) {
    expect([`${page}:${line}`, LANGUAGES.includes(language)]).toEqual([`${page}:${line}`, true]);
    if (language === "text") expect(code).not.toMatch(/^(?:\$ |sbx [a-z]|\.\/|sudo )/m);
  }
});

test("each command is run by somebody, and what is left out is still shown", () => {
  const shown = shownCommands();
  const left = shown.filter(({ runner }) => runner === "nobody").map(({ command }) => command);
  expect([...new Set(left)].sort()).toEqual(Object.keys(LEFT_OUT).sort());
  // The test of the recipes takes them from the page by itself.
  const recipes = recipesIn(page("docs/secrets.md")).filter(({ command: [program = ""] }) =>
    !program.startsWith("./") && program !== "aws"
  );
  expect(shown.filter(({ runner }) => runner === "secret clients").length).toBe(recipes.length);
  expect(shown.filter(({ runner }) => runner === "guest").length).toBeGreaterThan(10);
});

describe("policies", () => {
  test.each(of("yaml"))("%s is valid, and what it expects comes true", async (_where, { code }) => {
    writeFileSync(join(directory, "shown.yaml"), code);
    const isDead = code.startsWith("# dead.yaml"); // shows a warning
    const checked = await shell(`sbx policy check ${isDead ? "" : "--strict"} shown.yaml`);
    expect([checked.status, checked.stdout]).toEqual([0, expect.stringContaining("is valid")]);
    if (!/^expect:/m.test(code)) return;
    const tested = await shell("sbx policy test shown.yaml");
    expect([tested.status, tested.stdout]).toEqual([
      0,
      expect.stringMatching(/[1-9]\d* passed, 0 failed/),
    ]);
  });
});

describe("sessions", () => {
  test.each(
    of("console").flatMap(([where, { code }]) =>
      exchangesIn(code).map((exchange) => [where, exchange] as const)
    ),
  )("%s: $command", async (_where, { command, printed }) => {
    const { stdout } = await shell(command);
    expect(stdout.replace(/\n$/, "").split("\n")).toEqual([...printed]);
  });
});

test("what a command may print for a value is read as one", () => {
  const shown = of("json").map(([, { code }]) => readPrinted("KEY", code));
  expect(shown).toEqual([{ texts: ["eyJhbGciOi…"], expires: new Date("2027-01-31T12:00:00Z") }]);
});

describe("jq on a journal", () => {
  const FLOW = {
    direction: "outbound",
    protocol: "tcp",
    source: "192.168.127.2:40000",
    destination: "203.0.113.7:443",
    name: "api.example.com",
  } as const;

  async function writeJournal(path: string): Promise<void> {
    const journal = openJournal(path);
    const { name: _, ...unnamed } = FLOW;
    const why = { reason: "rule", rule: 0, ruleText: "allow@any" } as const;
    for (const flow of [1, 2]) {
      journal.write({ event: "opened", flow, ...FLOW, ...why, dialled: FLOW.destination });
      journal.write({ event: "closed", flow, ...FLOW, up: 100, down: 7, ms: 5, end: "eof" });
    }
    const refused = { ...unnamed, destination: "10.0.0.5:5432" };
    journal.write({
      event: "denied",
      flow: 3,
      ...refused,
      ...why,
      rule: 1,
      ruleText: "deny@private",
    });
    journal.write({ event: "end" });
    await journal.close();
  }

  const PRINTED: readonly RegExp[] = [
    /^ +2 api\.example\.com\n$/,
    /^10\.0\.0\.5:5432\t\trule\tdeny@private\n$/,
    /^\{\s*"api\.example\.com": 200\s*\}\n$/,
    /^(?:\{"time":[^\n]*\}\n){6}$/,
  ];
  const recipes = shownCommands().filter(({ runner }) => runner === "jq");

  test("every recipe has what it prints", () => {
    expect(recipes.length).toBe(PRINTED.length);
  });

  test.each(recipes.map(({ command }, index) => [command, index] as const))(
    "%s",
    async (command, index) => {
      // A run before it, of which the last recipe shows nothing.
      const path = join(directory, "net.jsonl");
      rmSync(path, { force: true });
      await writeJournal(path);
      if (index === PRINTED.length - 1) await writeJournal(path);
      const { status, stdout } = await shell(command);
      expect([status, stdout]).toEqual([0, expect.stringMatching(PRINTED[index] ?? /^$/)]);
    },
  );
});

test("commands and exchanges are cut where a shell would cut them", () => {
  expect(commandsIn("# why\na 'b\n# c' \\\n  d\n\ne # f\n")).toEqual([
    "a 'b\n# c' \\\n  d",
    "e # f",
  ]);
  expect(() => commandsIn("a 'b\n")).toThrow("no shell reads this");
  expect(exchangesIn("$ a\nx\ny\n$ b\n")).toEqual([
    { command: "a", printed: ["x", "y"] },
    { command: "b", printed: [] },
  ]);
  const text = "x\n```sh\na\n```\n\n```\nb\n```\n";
  expect(fencesIn("p.md", text).map(({ line, language, code }) => [line, language, code])).toEqual([
    [2, "sh", "a\n"],
    [6, "", "b\n"],
  ]);
});

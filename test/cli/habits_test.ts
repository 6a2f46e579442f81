/**
 * Hands that know container tools: each of their options is taken, or answered with what to use here.
 */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import process from "node:process";
import { COMMAND_HABITS, commandHabit } from "../../lib/cli/command_habits.ts";
import { COMMANDS } from "../../lib/cli/commands.ts";
import { wholeTree } from "../../lib/cli/command_tree.ts";
import { HABITS } from "../../lib/cli/habits.ts";
import { OPTION_HABITS, optionHabit } from "../../lib/cli/option_habits.ts";
import { type Run, run } from "../support/process.ts";

const MAIN = resolve(import.meta.dirname, "../../main.ts");
const directory = mkdtempSync(join(tmpdir(), "sbx-habits-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));
writeFileSync(join(directory, "file"), "A=1\n");

function sbx(args: readonly string[]): Promise<Run> {
  return run([process.execPath, MAIN, ...args], {
    cwd: directory,
    env: {
      NO_COLOR: "1",
      HOME: directory,
      XDG_STATE_HOME: "",
      XDG_DATA_HOME: "",
      XDG_CACHE_HOME: "",
    },
  });
}

/** In their order, a few at a time. */
async function each(lines: readonly string[], tail: readonly string[]): Promise<Run[]> {
  const results: Run[] = [];
  for (let at = 0; at < lines.length; at += 4) {
    const some = lines.slice(at, at + 4);
    results.push(
      ...await Promise.all(some.map((line) => sbx(["run", ...line.split(" "), ...tail]))),
    );
  }
  return results;
}

/** Each option of theirs, by the command of ours that is typed with it. */
const KNOWN = [...HABITS.map((option) => ["run", option] as const), ...OPTION_HABITS];
const tree = await wholeTree();

test("no option that a command has is explained away, and each that it lacks has a hint", () => {
  for (const [name, option] of KNOWN) {
    const command = tree.commands.find((each) => each.name() === name);
    expect([
      name,
      command?.options.filter(({ long, short }) => long === option || short === option),
    ]).toEqual([name, []]);
    expect([name, option, optionHabit(name, option)])
      .toEqual([name, option, expect.stringMatching(/^(?!see |did )[^\n]+$/)]);
  }
  expect(optionHabit("exec", "--constructor")).toBeUndefined();
});

test("every command line in a hint is one that sbx takes", async () => {
  const hints = [
    ...KNOWN.map(([name, option]) => optionHabit(name, option)),
    ...COMMAND_HABITS.map(commandHabit),
  ];
  const line = /'sbx ([^']*)'|(?<!'|to )\bsbx ((?:'[^']*'|[^',;|>&])*)/g;
  const lines = hints.flatMap((hint = "") =>
    [...hint.matchAll(line)].map(([, quoted, plain = ""]) =>
      (quoted ?? plain).replace(/ >.*/, "").trim().split(" ")
    )
  );
  expect(lines.length).toBeGreaterThan(25);
  for (const typed of lines) {
    const [name = "", ...words] = typed;
    expect([name, tree.commands.some((command) => command.name() === name)]).toEqual([name, true]);
    if (words.length === 0 || words.includes("--help")) continue; // the command alone is meant
    const refusal = await tree.parseAsync(typed, { from: "user" }).then(() => null, String);
    expect([typed, refusal]).toEqual([typed, null]);
  }
});

test("an option that sbx run lacks is answered with one line of what to use, however it is typed", async () => {
  const forms = [
    "--network none",
    "--network=none",
    "--net=host",
    "--dns=9.9.9.9",
    "--privileged -it",
    "-Pit",
  ];
  const results = await each(forms, ["none", "--", "true"]);
  for (const [index, { status, stdout, stderr }] of results.entries()) {
    const [line, hint, ...more] = stderr.trimEnd().split("\n");
    expect([forms[index], status, stdout, more]).toEqual([forms[index], 2, "", []]);
    expect([forms[index], line]).toEqual([
      forms[index],
      expect.stringMatching(/^sbx: unknown option '-/),
    ]);
    expect([forms[index], hint]).toEqual([
      forms[index],
      expect.stringMatching(/^hint: (?!see |did )/),
    ]);
  }
});

test("the options that both have are taken in the spelling of either", async () => {
  const taken = [
    "--rm",
    "-it",
    "-i",
    "-t",
    "--rm -it",
    "-u nobody",
    "--user 1000:1000",
    "--hostname box.example.com",
    "--name box",
    "--add-host db.test:10.0.0.5",
    "--add-host db.test=10.0.0.5",
    "-p 8080",
    "-p 8080:80",
    "-p 127.0.0.1:8080:80/udp",
    "--publish=8080:80",
    "-v .:/work:z",
    "-v .:/work:ro,Z",
    "--volume file:/etc/file:ro",
    "-e A=1",
    "--env A",
    "--env-file file",
    "-w /work",
    "--workdir=/work",
    "-m 512m",
    "--memory 1g",
    "-c 2",
    "--cpus 2",
    "-q",
  ];
  // Only what was read to its end gets to the policy that is not there.
  const results = await each(taken, ["--policy", "missing.yaml", "--", "true"]);
  for (const [index, { status, stderr }] of results.entries()) {
    expect([taken[index], status, stderr]).toEqual([
      taken[index],
      125,
      "sbx: cannot read policy missing.yaml: no such file or directory\n",
    ]);
  }
});

test("no command that sbx has is explained away", () => {
  const own = new Set(COMMANDS.map(({ name }) => name));
  expect(COMMAND_HABITS.filter((name) => own.has(name))).toEqual([]);
  expect(commandHabit("constructor")).toBeUndefined();
});

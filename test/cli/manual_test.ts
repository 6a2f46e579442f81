import { expect, test } from "bun:test";
import type { Command } from "commander";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { wholeTree } from "../../lib/cli/command_tree.ts";
import { manPages, pageName } from "../../lib/cli/manual.ts";
import { run } from "../support/process.ts";

const root = await wholeTree();
const pages = manPages(root, "1.2.3");

test("every command that help names has a page, and no other", async () => {
  const { stdout } = await run(["bun", "main.ts", "--help"]);
  const commands = [...stdout.matchAll(/^ {2}([a-z]+) {2,}/gm)].map(([, name = ""]) => name);
  expect(commands.length).toBeGreaterThan(5);
  const named = [...pages.keys()].filter((name) => /^sbx-[a-z]+\.1$/.test(name));
  expect(named.sort()).toEqual(commands.map((name) => `sbx-${name}.1`).sort());
  expect(pages.has("sbx-policy-check.1")).toBe(true);
});

test("groff has nothing to warn of, and shows every option as it is typed", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sbx-manual-"));
  try {
    const helps = new Map(
      below(root).map((each) => [`${pageName(each)}.1`, each.helpInformation()]),
    );
    await Promise.all([...pages].map(async ([name, text]) => {
      const file = join(directory, name);
      writeFileSync(file, text);
      const argv = ["groff", "-man", "-ww", "-Tutf8", "-P-cbou", "-rLL=200n", file];
      const { stdout, stderr } = await run(argv);
      expect([name, stderr]).toEqual([name, ""]);
      const options = [
        ...(helps.get(name) ?? "").matchAll(/^ {2}(?:-., )?(--[\w-]+.*?)(?: {2,}|$)/gm),
      ];
      expect([name, options.length > 0]).toEqual([name, true]);
      for (const [, option = ""] of options) {
        expect(stdout).toContain(option.replace("…", "..."));
      }
      expect(stdout).toContain("sbx 1.2.3");
    }));
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

function below(command: Command): Command[] {
  return [command, ...command.commands.flatMap(below)];
}

test("sbx help opens the page on a terminal, and prints the help into a pipe", async () => {
  const command = `'${process.execPath}' main.ts help policy check`;
  const typed = ["script", "-qec", `stty cols 100; MANPAGER=cat ${command}`, "/dev/null"];
  const [shown, piped] = await Promise.all([run(typed), run(["/bin/sh", "-c", command])]);
  expect(shown.stdout).toContain("SBX-POLICY-CHECK(1)");
  expect(piped.stdout).toStartWith("Usage: sbx policy check");
});

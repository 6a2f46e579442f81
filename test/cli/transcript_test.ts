import { expect, test } from "bun:test";
import {
  chmodSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { run } from "../support/process.ts";
import { matches, parseTranscript } from "./transcript.ts";

const HERE = dirname(fileURLToPath(import.meta.url));
const ROOT = resolve(HERE, "../..");

for (const path of globSync(join(HERE, "*.txt")).sort()) {
  const transcript = parseTranscript(readFileSync(path, "utf8"));
  test(`${basename(path)}: ${transcript.title}`, async () => {
    const home = mkdtempSync(join(tmpdir(), "sbx cli ü-"));
    try {
      const work = join(home, "work");
      mkdirSync(work);
      for (const [name, text] of transcript.files) {
        mkdirSync(dirname(join(work, name)), { recursive: true });
        writeFileSync(join(work, name), text);
      }
      const env = {
        HOME: home,
        SBX: shim(home),
        PATH: `${home}:${process.env["PATH"]}`,
        NO_COLOR: "1",
      };
      for (const step of transcript.steps) {
        const seen = await run(["/bin/sh", "-c", step.command], {
          cwd: work,
          env: { ...env, XDG_CACHE_HOME: "" },
        });
        const stdout = matches(seen.stdout, step.stdout) ? step.stdout.join("\n") : seen.stdout;
        const stderr = matches(seen.stderr, step.stderr) ? step.stderr.join("\n") : seen.stderr;
        expect({ line: step.line, status: seen.status, stdout, stderr }).toEqual({
          line: step.line,
          status: step.status,
          stdout: step.stdout.join("\n"),
          stderr: step.stderr.join("\n"),
        });
      }
    } finally {
      rmSync(home, { recursive: true, force: true });
    }
  });
}

test("commands in hints are quoted in one way", () => {
  const hints = globSync(join(HERE, "*.txt"))
    .flatMap((path) => readFileSync(path, "utf8").split("\n"))
    .filter((line) => line.startsWith("2> hint:"));
  expect(hints.length).toBeGreaterThan(50);
  expect(hints.filter((line) => line.includes("`"))).toEqual([]);
});

test("matches() wants every line, and takes [..] for text within one", () => {
  expect(matches("a b c\n", ["a [..] c"])).toBe(true);
  expect(matches("a\nb\n", ["a"])).toBe(false);
  expect(matches("", [])).toBe(true);
  expect(matches("a.c\n", ["abc"])).toBe(false);
  expect(matches("axc\n", ["a.c"])).toBe(false);
});

/** `sbx` on the PATH of a transcript: the binary in SBX_BINARY, else this checkout's sources. */
function shim(directory: string): string {
  const path = join(directory, "sbx");
  const binary = process.env["SBX_BINARY"];
  const command = binary === undefined
    ? [process.execPath, join(ROOT, "main.ts")]
    : [resolve(binary)];
  const quoted = command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  writeFileSync(path, `#!/bin/sh\nexec ${quoted} "$@"\n`);
  chmodSync(path, 0o755);
  return path;
}

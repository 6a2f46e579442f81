import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { absentHint, type Attempt, unseenHint } from "../../lib/cli/unseen.ts";

const cwd = mkdtempSync(join(tmpdir(), "sbx-unseen-"));
afterAll(() => rmSync(cwd, { recursive: true }));
mkdirSync(join(cwd, "bin"));
for (const name of ["data.csv", "build.sh", "bin/tool"]) writeFileSync(join(cwd, name), "");

function attempt(line: string, changes: Partial<Attempt> = {}): Attempt {
  return { argv: line.split(" "), mounts: [], cwd, path: join(cwd, "bin"), ...changes };
}

const HERE = { mounts: [{ host: ".", guest: "/work", readOnly: false }], workdir: "/work" };

test.each([
  ["debian bash", "there are no images: [^]*begin with the command itself$"],
  ["library/python:3.12-slim python", "there are no images"],
  ["./build.sh", "^build.sh is a file of this machine[^]*add -v .:/work -w /work$"],
  ["tool", "^bin/tool is a file of this machine"],
])("a command that the guest lacks: %s", (line, hint) => {
  expect(absentHint(attempt(line))).toMatch(new RegExp(hint));
});

test.each(["no-such-command", "./no-such-file", "/no/such/file"])(
  "nothing is said of a command that nobody has: %s",
  (line) => expect(absentHint(attempt(line))).toBeUndefined(),
);

test("files that a failing command was given are named when the guest does not see them", () => {
  expect(unseenHint(attempt("cat data.csv"))).toStartWith("data.csv is a file of this machine");
  expect(unseenHint(attempt(`cat ${join(cwd, "data.csv")}`))).toStartWith("data.csv is a file");
  expect(unseenHint(attempt("cat data.csv", HERE))).toBeUndefined();
  expect(unseenHint(attempt("cat /work/data.csv", HERE))).toBeUndefined();
  expect(unseenHint(attempt("cat other.csv"))).toBeUndefined();
  expect(unseenHint(attempt("grep -r x /usr/bin /etc"))).toBeUndefined();
  expect(unseenHint(attempt("--version"))).toBeUndefined();
});

test("what is shown of a path is safe to print", () => {
  writeFileSync(join(cwd, "\u001b[2Jx"), "");
  expect(unseenHint({ ...attempt("cat"), argv: ["cat", "\u001b[2Jx"] })).not.toContain("\u001b");
});

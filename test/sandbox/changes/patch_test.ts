/** What a patch of a change says. */
import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeOsString, encodeOsString } from "../../../lib/base/os_string.ts";
import type { Change, ChangedFile } from "../../../lib/sandbox/changes/change.ts";
import { patchOf } from "../../../lib/sandbox/changes/patch.ts";

const file: ChangedFile = { kind: "file", mode: 0o644, size: 4 };

const change: Change = {
  path: "file",
  guestPath: "/work/file",
  hostPath: "/here/file",
  kind: "modified",
  before: file,
  after: file,
};

test("a file that became a link is no deletion", () => {
  const after: ChangedFile = { kind: "symlink", mode: 0o777, size: 0, target: "/etc/passwd" };
  expect(patchOf({ ...change, kind: "type", after }, { before: Buffer.from("text\n") }))
    .toBeUndefined();
});

test("texts with little in common are shown whole, and applied would be the new one", () => {
  const lines = (word: string) =>
    Array.from({ length: 4000 }, (_, at) => at % 2 === 0 ? "same" : `${word} ${at}`).join("\n");
  const patch = patchOf(change, {
    before: Buffer.from(lines("one")),
    after: Buffer.from(lines("two")),
  });
  expect(patch).toContain("@@ -1,4000 +1,4000 @@");
});

const NAMES = [
  "plain",
  "a b",
  " a",
  "a ",
  "tab\tname",
  "line\nname",
  'quote"',
  "back\\slash",
  "-dash",
  "caf\u00e9",
  "\u202e",
  decodeOsString(Buffer.of(0x62, 0xff, 0x64)),
];

test.each<[program: string, args: readonly string[]]>([
  ["git", ["apply", "-"]],
  ["patch", ["-p1", "-s"]],
])(
  "a patch of a file of any name is what %s takes",
  (program, args) => {
    const cwd = mkdtempSync(`${tmpdir()}/sbx-patch-`);
    try {
      const at = (name: string) =>
        Buffer.concat([Buffer.from(`${cwd}/`), Buffer.from(encodeOsString(name))]);
      for (const name of NAMES) writeFileSync(at(name), "one\n");
      const texts = { before: Buffer.from("one\n"), after: Buffer.from("two") };
      const input = NAMES.map((path) => patchOf({ ...change, path }, texts)).join("");
      execFileSync(program, args, { cwd, input });
      expect(NAMES.map((name) => readFileSync(at(name), "utf8"))).toEqual(NAMES.map(() => "two"));
    } finally {
      rmSync(cwd, { recursive: true });
    }
  },
);

test.each([
  ["a name with spaces", "a file", "one\n", "two\n"],
  ["a name with spaces that comes", "a file", undefined, "two\n"],
  ["a name that is quoted", "ü file", "one\n", "two\n"],
  ["an empty file that comes", "file", undefined, ""],
  ["an empty file that goes", "a file", "", undefined],
  ["a file that becomes empty", "file", "one\n", ""],
])("git takes %s", (_, path, before, after) => {
  const directory = mkdtempSync(join(tmpdir(), "sbx-patch-"));
  try {
    if (before !== undefined) writeFileSync(join(directory, path), before);
    const [given, kept] = [before, after].map((text) =>
      text === undefined ? undefined : Buffer.from(text)
    );
    const patch = patchOf({
      ...change,
      path,
      kind: before === undefined ? "added" : after === undefined ? "deleted" : "modified",
    }, { ...(given && { before: given }), ...(kept && { after: kept }) });
    execFileSync("git", ["apply"], { cwd: directory, input: patch });
    const at = join(directory, path);
    expect(existsSync(at) ? readFileSync(at, "utf8") : undefined).toBe(after);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

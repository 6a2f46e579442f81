import { expect, test } from "bun:test";
import type { FileKind } from "../../../lib/guest/files.ts";
import { parseCopyPath, planCopy } from "../../../lib/sandbox/copy_plan.ts";

test("parseCopyPath() tells names from what is in a directory", () => {
  const rows: [string, string, string, string, boolean, boolean][] = [
    ["/a/b", "/a/b", "/a", "b", false, false],
    ["/a/b/", "/a/b", "/a", "b", true, false],
    ["/a/b///", "/a/b", "/a", "b", true, false],
    ["/a/b/.", "/a/b/.", "/a/b", "", true, true],
    ["/a/b/./", "/a/b/.", "/a/b", "", true, true],
    ["/a/..", "/a/..", "/a", "", true, true],
    ["/", "/", "/", "", true, true],
    ["///", "/", "/", "", true, true],
    ["/a", "/a", "/", "a", false, false],
    ["a", "a", ".", "a", false, false],
    [".", ".", ".", "", true, true],
    ["..", "..", ".", "", true, true],
    ["./a/", "./a", ".", "a", true, false],
    [".a", ".a", ".", ".a", false, false],
    ["a.", "a.", ".", "a.", false, false],
  ];
  for (const [text, path, parent, name, isDirectory, contents] of rows) {
    expect(parseCopyPath(text), text).toEqual({ path, parent, name, isDirectory, contents });
  }
});

test("planCopy() does as cp -a does", () => {
  const directory = "directory";
  const rows: [
    source: string,
    FileKind,
    target: string,
    FileKind | null,
    parent: FileKind | null,
    plan: string,
  ][] = [
    // onto a directory
    ["/s/file", "file", "/t", directory, directory, "into file"],
    ["/s/file", "file", "/t/", directory, directory, "into file"],
    ["/s/link", "symlink", "/t", directory, directory, "into link"],
    ["/s/dir", directory, "/t", directory, directory, "into dir"],
    ["/s/dir/", directory, "/t/", directory, directory, "into dir"],
    ["/s/dir/.", directory, "/t", directory, directory, "merge"],
    ["/", directory, "/t", directory, directory, "merge"],
    ["..", directory, ".", directory, directory, "merge"],
    // where nothing is
    ["/s/file", "file", "/t", null, directory, "become"],
    ["/s/link", "symlink", "/t", null, directory, "become"],
    ["/s/dir", directory, "/t", null, directory, "become"],
    ["/s/dir", directory, "/t/", null, directory, "become"],
    ["/s/dir/.", directory, "/t", null, directory, "become"],
    ["/s/file", "file", "/t/", null, directory, "FILE_NOT_FOUND"],
    ["/s/file", "file", "/n/t", null, null, "FILE_NOT_FOUND"],
    ["/s/dir", directory, "/f/t", null, "file", "FILE_NOT_DIRECTORY"],
    // onto something else
    ["/s/file", "file", "/t", "file", directory, "become"],
    ["/s/link", "symlink", "/t", "file", directory, "become"],
    ["/s/file", "file", "/t/", "file", directory, "FILE_NOT_DIRECTORY"],
    ["/s/dir", directory, "/t", "file", directory, "FILE_NOT_DIRECTORY"],
    ["/s/file", "file", "/t", "symlink", directory, "FILE_EXISTS"],
    ["/s/dir", directory, "/t", "symlink", directory, "FILE_EXISTS"],
    ["/s/file", "file", "/t", "other", directory, "FILE_EXISTS"],
    // sources that are none
    ["/s/file/", "file", "/t", directory, directory, "FILE_NOT_DIRECTORY"],
    ["/s/file/.", "file", "/t", directory, directory, "FILE_NOT_DIRECTORY"],
    ["/s/pipe", "other", "/t", directory, directory, "FILE_UNREADABLE"],
  ];
  for (const [source, sourceKind, target, targetKind, parentKind, expected] of rows) {
    const ends = {
      source: parseCopyPath(source),
      sourceKind,
      target: parseCopyPath(target),
      targetKind,
      parentKind,
    };
    expect(planned(ends), `${source} (${sourceKind}) to ${target} (${targetKind})`).toBe(expected);
  }
});

function planned(ends: Parameters<typeof planCopy>[0]): string {
  try {
    const plan = planCopy(ends);
    return plan.kind === "into" ? `into ${plan.name}` : plan.kind;
  } catch (error) {
    return (error as { code: string }).code;
  }
}

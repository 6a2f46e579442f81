/** What a patch of a change says. */
import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
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

import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isShowable, MAX_MESSAGE } from "../../lib/base/escape.ts";
import { NoticeLog } from "../../lib/supervise/notice_log.ts";

const directory = mkdtempSync(join(tmpdir(), "sbx-notices-"));
afterAll(() => rmSync(directory, { recursive: true }));

test("each notice is one line that does nothing to the terminal it is read on", () => {
  const path = join(directory, "notices.log");
  const log = new NoticeLog(path);
  for (
    const text of ["plain", "\x1b[2J\x9b2J\u202eback\u2060", "two\nlines\r", "x".repeat(1 << 20)]
  ) {
    log.write(text);
  }
  const written = readFileSync(path, "utf8");
  const lines = written.trimEnd().split("\n");
  expect(isShowable(written)).toBe(true);
  expect(lines.length).toBe(4);
  expect(lines.map((line) => line.replace(/^\S+Z /, "")).slice(0, 3)).toEqual([
    "plain",
    "\\u{1b}[2J\\u{9b}2J\\u{202e}back\\u{2060}",
    "two\\u{a}lines\\u{d}",
  ]);
  expect(written.length).toBeLessThan(2 * MAX_MESSAGE);
});

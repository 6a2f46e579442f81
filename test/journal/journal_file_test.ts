import { afterAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import {
  closeSync,
  constants,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openJournal } from "../../lib/journal/file.ts";

const directory = mkdtempSync(join(tmpdir(), "sbx-journal-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const limit = (count: number) => ({ event: "limit", what: "flows", count }) as const;
const lines = (text: string) =>
  text.trimEnd().split("\n").map((line) => JSON.parse(line) as Record<string, unknown>);

test("lines are appended in order to a file that only its owner reads", async () => {
  const path = join(directory, "file");
  for (const start of [0, 1000]) {
    const journal = openJournal(path);
    for (let n = start; n < start + 1000; n++) journal.write(limit(n));
    expect(await journal.close()).toBe(0);
  }
  expect(lines(readFileSync(path, "utf8")).map(({ count }) => count)).toEqual(
    Array.from({ length: 2000 }, (_, n) => n),
  );
  expect(statSync(path).mode & 0o777).toBe(0o600);
});

test("what a full disk does not take is counted", async () => {
  const journal = openJournal("/dev/full");
  for (let n = 0; n < 7; n++) journal.write(limit(n));
  expect(await journal.close()).toBe(7);
});

test("a pipe that nobody reads costs lines and no memory, and the lines are counted", async () => {
  const path = join(directory, "pipe");
  execFileSync("mkfifo", [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const journal = openJournal(path);
  const what = "x".repeat(100_000);
  for (let n = 0; n < 400; n++) journal.write({ event: "limit", what, count: n });
  expect(await journal.close()).toBeGreaterThan(200);
  closeSync(reader);
});

test("a pipe without a reader and a directory are refused", () => {
  const path = join(directory, "nobody");
  execFileSync("mkfifo", [path]);
  expect(() => openJournal(path)).toThrow(/^Cannot write the journal .*: nobody reads/);
  expect(() => openJournal(directory)).toThrow(/^Cannot write the journal .*: is a directory/);
});

test("a file that is full ends in a line that says so, and the end says how many lines it lacks", async () => {
  const path = join(directory, "full");
  const journal = openJournal(path, 10_000);
  for (let n = 0; n < 1_000; n++) journal.write(limit(n));
  journal.write({ event: "end" });
  const lost = await journal.close();
  expect(statSync(path).size).toBeLessThan(10_500);
  const written = lines(readFileSync(path, "utf8"));
  expect(written.slice(-3).map(({ event }) => event)).toEqual(["full", "lost", "end"]);
  expect(written.at(-2)).toMatchObject({ lines: lost });
  expect(written.filter(({ event }) => event === "limit").length + lost).toBe(1_000);
});

test("a pipe is never full", async () => {
  const path = join(directory, "read");
  execFileSync("mkfifo", [path]);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const journal = openJournal(path, 100);
  for (let n = 0; n < 100; n++) journal.write(limit(n));
  expect(await journal.close()).toBe(0);
  closeSync(reader);
});

test("what reached a line unescaped by mistake cannot speak to a terminal, and means the same", async () => {
  const path = join(directory, "hostile");
  const journal = openJournal(path);
  const what = "a\x9b2J\u202e\u{e0061}\u2028b";
  journal.write({ event: "limit", what, count: 1 });
  await journal.close();
  const text = readFileSync(path, "utf8");
  expect(text).toMatch(/^[\x20-\x7e]*\n$/);
  expect(lines(text)[0]?.["what"]).toBe(what);
});

import { afterAll, expect, test } from "bun:test";
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openJournal } from "../../lib/journal/file.ts";
import { type JournalRecord, readJournal } from "../../lib/mod.ts";

const directory = mkdtempSync(join(tmpdir(), "sbx-api-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const shown = (record: JournalRecord | null) =>
  record === null ? null : `${record.event} ${JSON.stringify(record.fields)}`;

test("a program reads what a sandbox wrote, and is told of each line that is none", async () => {
  const path = join(directory, "net.jsonl");
  const journal = openJournal(path);
  journal.write({ event: "limit", what: "flows\u202e", count: 3 });
  journal.write({ event: "end" });
  await journal.close();
  appendFileSync(path, '\n{"time":"t"}\nnoise\n{"time":"t","event":"later","x":1}');
  expect(await Array.fromAsync(readJournal(path), shown)).toEqual([
    'limit {"what":"flows\u202e","count":3}',
    "end {}",
    null,
    null,
    'later {"x":1}',
  ]);
});

test("followed, a journal goes on with what is added, until nobody asks any more", async () => {
  const path = join(directory, "followed.jsonl");
  writeFileSync(path, '{"time":"t","event":"start"}\n{"time":"t","event":"en');
  const events: unknown[] = [];
  for await (const record of readJournal(path, { follow: true })) {
    events.push(record?.event);
    if (events.length === 1) setTimeout(() => appendFileSync(path, 'd"}\n'), 50);
    if (events.length === 2) break;
  }
  expect(events).toEqual(["start", "end"]);
});

test("a file that is not there is said, not an empty journal", async () => {
  const reading = Array.fromAsync(readJournal(join(directory, "missing")));
  expect(await reading.catch((error) => error.code)).toBe("FILE_UNREADABLE");
});

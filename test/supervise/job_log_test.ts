/** What commands printed, on a real disk: kept, read from any place on, followed, and bounded. */
import { afterAll, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { mkdtempSync, readdirSync, rmSync, statSync, truncateSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { JobLog, JobLogReader } from "../../lib/supervise/job_log.ts";
import { random } from "../support/random.ts";

const scratch = mkdtempSync(join(tmpdir(), "sbx-job-log-"));
afterAll(() => rmSync(scratch, { recursive: true }));

let last = 0;
const fresh = () => join(scratch, String(++last));

function readAll(reader: JobLogReader): { text: string; from: number } {
  let text = "";
  let from = -1;
  for (let piece = reader.next(); piece !== null; piece = reader.next()) {
    if (from < 0) from = piece.offset;
    text += piece.bytes.toString("latin1");
  }
  return { text, from };
}

test("pieces keep their stream, time and order; reading begins anywhere", () => {
  const path = fresh();
  const log = new JobLog(path);
  log.append(1, Buffer.from("out"), 1_700_000_000_123);
  log.append(2, Buffer.from("error"), 1_700_000_000_456);
  const reader = new JobLogReader(path);
  expect([reader.next(), reader.next(), reader.next()]).toEqual([
    { stream: 1, atMs: 1_700_000_000_123, offset: 0, bytes: Buffer.from("out") },
    { stream: 2, atMs: 1_700_000_000_456, offset: 3, bytes: Buffer.from("error") },
    null,
  ]);
  log.append(1, Buffer.from("more"), 5);
  expect(reader.next()).toMatchObject({ offset: 8, bytes: Buffer.from("more") });
  for (let from = 0; from <= 12; from++) {
    expect(readAll(new JobLogReader(path, from)).text).toBe("outerrormore".slice(from));
  }
  expect(readAll(new JobLogReader(fresh())).text).toBe("");
});

test("a log goes on where it ended when it is opened again", () => {
  const path = fresh();
  new JobLog(path).append(1, Buffer.from("first "), 1);
  const log = new JobLog(path);
  expect(log.end).toBe(6);
  log.append(1, Buffer.from("second"), 2);
  expect(readAll(new JobLogReader(path)).text).toBe("first second");
});

test("a log that was cut off in a record goes on behind the last whole one", () => {
  const path = fresh();
  const before = new JobLog(path);
  before.append(1, Buffer.from("whole"), 1);
  before.append(1, Buffer.from("half"), 1);
  truncateSync(path, statSync(path).size - 2);
  const log = new JobLog(path);
  expect(log.end).toBe(5);
  log.append(1, Buffer.from(" and on"), 2);
  expect(readAll(new JobLogReader(path)).text).toBe("whole and on");
});

test("a command that prints for ever keeps its latest words, and readers learn what they missed", () => {
  const path = fresh();
  const segment = 1_000;
  const log = new JobLog(path, segment);
  const draw = random(7);
  let all = "";
  const live = new JobLogReader(path);
  let seen = "";
  for (let n = 0; n < 2_000; n++) {
    const bytes = Buffer.from(`${n} ${"x".repeat(draw.below(90))}\n`);
    log.append(n % 2 === 0 ? 1 : 2, bytes, n);
    all += bytes.toString("latin1");
    if (n % 3 === 0) seen += readAll(live).text;
  }
  seen += readAll(live).text;
  expect(seen).toBe(all); // who reads along misses nothing
  const { text, from } = readAll(new JobLogReader(path));
  expect(from).toBeGreaterThan(0);
  expect(text).toBe(all.slice(from));
  expect(text.length).toBeGreaterThanOrEqual(segment / 2);
  const kept = readdirSync(scratch).filter((name) => name.startsWith(`${path.split("/").pop()}`));
  const bytes = kept.reduce((sum, name) => sum + statSync(join(scratch, name)).size, 0);
  expect(bytes).toBeLessThan(3 * segment + 500);
});

/** What a guest tells of changes fills no memory, and keeps nobody else waiting. */
import { afterAll, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeHole } from "../../../lib/guest/agent/tree_record.ts";
import { copiesOf, dataOf, encoded, listOf, plant, toldGuest } from "./told_guest.ts";

const top = mkdtempSync(join(tmpdir(), "sbx-limits-"));
plant(top, { file: "here\n" });
afterAll(() => rmSync(top, { recursive: true, force: true }));

const directory = { type: "directory" } as const;

test("names that would fill the memory refuse the whole list", async () => {
  const far = Buffer.alloc(4095, "x");
  const links = Array.from(
    { length: 17_000 },
    (_, at) => encoded(`link${at}`, { type: "symlink", target: far }),
  );
  const list = Buffer.concat([encoded("", directory), ...links, listOf({}).subarray(-4)]);
  await expect((await copiesOf(top, toldGuest({}, { list }))).apply({})).rejects.toMatchObject({
    code: "FILE_TOO_LARGE",
    message: expect.stringContaining("64 MiB"),
  });
});

test("a hole of any size leaves others their turn, and is given up by a signal", async () => {
  const size = 32 * 1024 ** 3;
  const head = encoded("", directory);
  const list = Buffer.concat([
    ...[head, encoded("large", { size }), dataOf(Buffer.alloc(32, 7))],
    listOf({}).subarray(-4),
  ]);
  const taken = Buffer.concat([
    ...[head, encoded("large", {}), encodeHole(size), listOf({}).subarray(-4)],
  ]);
  const copies = await copiesOf(top, toldGuest({}, { list, taken }));
  const ending = new AbortController();
  setTimeout(() => ending.abort(new Error("enough")), 100);
  await expect(copies.apply({}, ending.signal)).rejects.toThrow("enough");
  expect(readdirSync(top)).toEqual(["file"]);
}, 60_000);

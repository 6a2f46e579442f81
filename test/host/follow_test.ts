import { afterAll, expect, test } from "bun:test";
import {
  appendFileSync,
  mkdtempSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileBytes } from "../../lib/host/follow.ts";

const directory = mkdtempSync(join(tmpdir(), "sbx-follow-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("a file that is followed tells what is added, and begins again when replaced or cut", async () => {
  const path = join(directory, "live");
  writeFileSync(path, "one\n");
  const chunks = fileBytes(path, { follow: true });
  const next = async () => new TextDecoder().decode((await chunks.next()).value ?? undefined);
  expect(await next()).toBe("one\n");
  appendFileSync(path, "two\n");
  expect(await next()).toBe("two\n");
  writeFileSync(`${path}.new`, "three\n");
  renameSync(`${path}.new`, path);
  expect(await next()).toBe("three\n");
  truncateSync(path);
  appendFileSync(path, "4\n");
  expect(await next()).toBe("4\n");
  await chunks.return();
});

test("one that is not followed ends", async () => {
  const path = join(directory, "whole");
  writeFileSync(path, "x".repeat(200_000));
  let size = 0;
  for await (const { length } of fileBytes(path, { follow: false })) size += length;
  expect(size).toBe(200_000);
});

import { afterAll, expect, test } from "bun:test";
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type PrivateFile, readPrivate } from "../../lib/base/private_file.ts";

const directory = mkdtempSync(join(tmpdir(), "sbx-private-"));
afterAll(() => rmSync(directory, { recursive: true }));

const path = join(directory, "file");
const FILE: PrivateFile = { path, what: "it", code: "LIMA_INSTANCE", otherwise: "remove it" };

function put(directoryMode: number): void {
  writeFileSync(path, "text");
  chmodSync(path, 0o644);
  chmodSync(directory, directoryMode);
}

test("a file that others can get at is not used", async () => {
  put(0o700);
  await expect(readPrivate(FILE)).rejects.toMatchObject({ code: "LIMA_INSTANCE" });
});

test("one that is sheltered by its directory is closed, and is not where that stands open", async () => {
  const sheltered = { ...FILE, sheltered: true } as const;
  put(0o700);
  expect(await readPrivate(sheltered)).toBe("text");
  expect(statSync(path).mode & 0o777).toBe(0o600);
  put(0o755);
  await expect(readPrivate(sheltered)).rejects.toMatchObject({ code: "LIMA_INSTANCE" });
});

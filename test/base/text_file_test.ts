import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTextFile } from "../../lib/base/text_file.ts";

const directory = mkdtempSync(join(tmpdir(), "sbx-text-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("a text is read as it is, whatever its characters and wherever a chunk ends", async () => {
  const path = join(directory, "text");
  for (const text of ["", "\ufeffa\r\n", "x" + "日本".repeat(50_000)]) {
    writeFileSync(path, text);
    expect(await readTextFile("read it", path)).toBe(text);
  }
});

test("what is too large, has no end, or is no file is refused", async () => {
  const huge = join(directory, "huge");
  writeFileSync(huge, "");
  truncateSync(huge, 3e9);
  for (const path of [huge, "/dev/zero"]) {
    await expect(readTextFile("read it", path)).rejects.toThrow(
      `Cannot read it ${path}: larger than 64 MiB`,
    );
  }
  await expect(readTextFile("read it", directory)).rejects.toThrow("is a directory");
  await expect(readTextFile("read it", join(directory, "none"))).rejects.toThrow("no such file");
});

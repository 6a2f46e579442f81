import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { evict } from "../../lib/host/assets.ts";

test("files of builds that were unpacked long ago leave the cache, and no others", async () => {
  const dir = mkdtempSync(join(tmpdir(), "sbx-assets-"));
  try {
    for (const [name, unpacked] of [["old", 1_000], ["then", 2_000], ["new", 3_000]] as const) {
      writeFileSync(join(dir, name), "");
      utimesSync(join(dir, name), unpacked, unpacked);
    }
    await evict(dir, 2_000_000);
    expect(readdirSync(dir).sort()).toEqual(["new", "then"]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});

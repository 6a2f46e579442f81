import { expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { GIB, MIB, TIB } from "../../lib/base/size.ts";
import { crc32c, DISK_RANDOM, diskBytes, newFileSystem } from "../../lib/guest/disk.ts";
import { assetPath } from "../../lib/host/assets.ts";

test("a disk has whole groups of blocks, and neither less than one nor more than can be described", () => {
  expect([1, 128 * MIB, 128 * MIB + 1, 20 * GIB, 4 * TIB].map(diskBytes))
    .toEqual([128 * MIB, 128 * MIB, 256 * MIB, 20 * GIB, 4 * TIB]);
  expect([0, -1, NaN, Infinity, 4 * TIB + 1].map(diskBytes)).toEqual(Array(5).fill(undefined));
});

test("the checksum is CRC-32C without its last inversion", () => {
  const vector = new TextEncoder().encode("123456789"); // its CRC-32C is e3069283
  expect((crc32c(vector) ^ 0xffffffff) >>> 0).toBe(0xe3069283);
});

test("a new file system is sound, and has identifiers that no other one has", async () => {
  const directory = mkdtempSync(join(tmpdir(), "sbx-disk-"));
  try {
    const made = readFileSync(await assetPath("disk"));
    const seen = [1, 2].map((number) => {
      const path = join(directory, String(number));
      writeFileSync(path, newFileSystem(made, randomBytes(DISK_RANDOM)));
      truncateSync(path, 128 * MIB);
      const check = spawnSync("/usr/sbin/e2fsck", ["-fn", path], { encoding: "utf8" });
      expect([check.status, check.stdout]).toEqual([0, expect.stringContaining("11/8192 files")]);
      const shown = spawnSync("/usr/sbin/dumpe2fs", ["-h", path], { encoding: "utf8" }).stdout;
      const [, uuid = ""] = /Filesystem UUID: +(\S+)/.exec(shown) ?? [];
      const [, seed = ""] = /Directory Hash Seed: +(\S+)/.exec(shown) ?? [];
      return [uuid, seed];
    }).flat();
    for (const each of seen) expect(each).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab]/);
    expect(new Set(seen).size).toBe(4);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { run } from "../support/process.ts";

const scratch = mkdtempSync(join(tmpdir(), "sbx-initramfs-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

test.each([1, 100, 3000, 4096, 8200])(
  "the guest's first file system fills whole pages, with a program of %d bytes",
  async (size) => {
    mkdirSync(join(scratch, "modules"), { recursive: true });
    for (const name of ["disk", "order"]) writeFileSync(join(scratch, "modules", name), "");
    writeFileSync(join(scratch, "agent"), new Uint8Array(size).fill(1));
    const out = join(scratch, "initramfs");
    const argv = [process.execPath, "scripts/initramfs.ts", scratch, join(scratch, "agent"), out];
    expect(await run(argv)).toMatchObject({ status: 0 });
    const archive = readFileSync(out);
    // QEMU leaves a page free above it then, where the firmware of a microvm has its tables.
    expect(archive.length % 4096).toBe(0);
    expect(archive.includes("TRAILER!!!")).toBe(true);
  },
);

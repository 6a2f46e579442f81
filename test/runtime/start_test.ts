/**
 * What a program that Bun compiled needs to start, and says nothing useful without: the reason for
 * scripts/binary/stub. What is broken is pinned as failing, so that an upgrade tells.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { run } from "../support/process.ts";

const directory = mkdtempSync(join(tmpdir(), "sbx-runtime-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const PROGRAM = `'${join(directory, "program")}'`;

beforeAll(async () => {
  writeFileSync(join(directory, "program.ts"), 'console.log("hi");');
  const argv = ["build", "program.ts", "--compile", "--outfile=program"];
  expect((await run([process.execPath, ...argv], { cwd: directory })).status).toBe(0);
}, 60_000);

async function expectHi(argv: readonly string[]): Promise<void> {
  const { status, stdout } = await run(argv, { cwd: directory });
  expect([status, stdout]).toEqual([0, "hi\n"]);
}

test.failing("it starts without /proc", async () => {
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  const script = `mount -t tmpfs none /proc; ${PROGRAM}`;
  await expectHi(["unshare", ...user, "--mount", "sh", "-c", script]);
});

test.failing("it starts in a directory that was removed", async () => {
  await expectHi(["sh", "-c", `mkdir gone && cd gone && rmdir ../gone; ${PROGRAM}`]);
});

test.failing("it starts with 128 KiB of stack", async () => {
  await expectHi(["sh", "-c", `ulimit -s 128; ${PROGRAM}`]);
});

test.failing("it starts with 256 MiB of address space", async () => {
  await expectHi(["sh", "-c", `ulimit -v 262144; ${PROGRAM}`]);
});

test("it starts where nothing is missing", async () => {
  await expectHi(["sh", "-c", PROGRAM]);
});

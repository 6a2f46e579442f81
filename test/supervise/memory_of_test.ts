/** What a copy of a sandbox has of its memory, as no QEMU wrote it: where it cannot be kept, that is said. */
import { afterAll, beforeAll, beforeEach, expect, test } from "bun:test";
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { type ErrorCode, SbxError } from "../../lib/base/errors.ts";
import type { HeldMachine } from "../../lib/guest/saved.ts";
import { Sandbox } from "../../lib/mod.ts";
import { homeOf } from "../../lib/supervise/home.ts";
import { type CopyOptions, MemoryOf } from "../../lib/supervise/memory_of.ts";
import { FOREVER, specOf } from "../../lib/supervise/record.ts";
import { keepSandbox } from "../../lib/supervise/registry.ts";
import { keepMachine } from "../../lib/supervise/saved_machine.ts";

const scratch = mkdtempSync(join(tmpdir(), "sbx-memory-of-"));
const before = process.env["XDG_STATE_HOME"];
beforeAll(() => void (process.env["XDG_STATE_HOME"] = scratch));
afterAll(() => {
  if (before === undefined) delete process.env["XDG_STATE_HOME"];
  else process.env["XDG_STATE_HOME"] = before;
  rmSync(scratch, { recursive: true });
});

const FACTS = { key: "0".repeat(64), calls: 12, tscKHz: 0 };
let number = 0;
let name: string;
let to: { disk: string; machine: string };
beforeEach(async () => {
  name = `dev${++number}`;
  const spec = specOf(Sandbox.builder().name(name).disk("1G").savable().build());
  const record = { sbx: "", name, createdMs: 0, directory: "/", life: FOREVER, spec };
  const home = await keepSandbox(record);
  writeFileSync(home.disk, "the disk", { mode: 0o600 });
  writeFileSync(home.saving, "the memory", { mode: 0o600 });
  const directory = join(scratch, `copy${number}`);
  mkdirSync(directory, { mode: 0o700 });
  to = { disk: join(directory, "disk"), machine: join(directory, "machine") };
  writeFileSync(to.disk, "the disk", { mode: 0o600 });
});

/** Has it copied, and answers whether it has memory, and what was said. */
async function copied(options: CopyOptions) {
  const said: string[] = [];
  const memory = new MemoryOf(name, { ...options, onDiskAlone: (why) => said.push(why) });
  const { thaw } = await memory.freeze?.() ?? { thaw: () => Promise.resolve() };
  const isKept = await memory.keep(to);
  await thaw();
  return { isKept, said, is: existsSync(to.machine) };
}

const frozen = () => Promise.resolve({ thaw: () => Promise.resolve() });
const held = (): Promise<HeldMachine> =>
  Promise.resolve({ facts: FACTS, release: () => Promise.resolve() });
const failing = (code: ErrorCode, message: string, hint?: string) => () =>
  Promise.reject(new SbxError(code, message, hint === undefined ? {} : { hint }));

test("of one that runs it is what was saved, or why there is none is said once", async () => {
  expect(await copied({ freeze: frozen, save: held })).toEqual({
    isKept: true,
    said: [],
    is: true,
  });
  rmSync(to.machine, { recursive: true });
  const save = failing("MEMORY_UNSAVABLE", "Cannot save the guest's memory: it is busy", "wait");
  expect(await copied({ freeze: frozen, save }))
    .toEqual({ isKept: false, said: ["it is busy"], is: false });
  await expect(copied({ freeze: frozen, save, needsMemory: true })).rejects.toMatchObject({
    code: "MEMORY_UNSAVABLE",
    message: `Cannot keep the memory of sandbox ${name}: it is busy`,
    hint: "wait, or keep its disk alone, without --memory",
  });
});

test("one that is gone meanwhile has no copy, whatever is wanted of it", async () => {
  for (const code of ["STOPPED", "SUPERVISOR_LOST", "GUEST_LOST"] as const) {
    for (const needsMemory of [false, true]) {
      const save = failing(code, "Cannot go on: it is gone");
      await expect(copied({ freeze: frozen, save, needsMemory })).rejects.toMatchObject({ code });
    }
  }
});

test("of one that was not started yet it is what that was to go on from", async () => {
  expect(() => new MemoryOf(name, { needsMemory: true })).toThrow("it does not run");
  expect(await copied({})).toEqual({ isKept: false, said: [], is: false });
  const home = homeOf(name);
  await keepMachine(home.saving, FACTS, home);
  expect(await copied({ needsMemory: true })).toEqual({ isKept: true, said: [], is: true });
  rmSync(to.machine, { recursive: true });
  appendFileSync(home.disk, "more");
  expect(await copied({})).toMatchObject({
    isKept: false,
    said: ["what it was to go on from is damaged"],
  });
});

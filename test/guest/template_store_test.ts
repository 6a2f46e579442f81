import { afterAll, beforeEach, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { type Ingredients, templateKey } from "../../lib/guest/template/key.ts";
import { parseManifest } from "../../lib/guest/template/manifest.ts";
import {
  claim,
  evict,
  failedLately,
  findTemplate,
  keep,
  listTemplates,
  MEMORY,
  noteFailure,
} from "../../lib/guest/template/store.ts";
import { lockFile } from "../../lib/host/file_lock.ts";

const place = mkdtempSync(join(tmpdir(), "sbx-templates-"));
afterAll(() => rmSync(place, { recursive: true }));

let directory = "";
let number = 0;
beforeEach(() => {
  directory = join(place, String(number++));
  mkdirSync(directory, { mode: 0o700 });
});

const own = process.geteuid?.() ?? 0;
const OWNERS = { own, memory: 0 };
const FACTS = {
  size: { cpus: 1, memoryMiB: 1, network: true, root: true },
  madeAt: 1,
  build: "test",
  tscKHz: 0,
  calls: 1,
};
const [A, B, C] = ["a", "b", "c"].map((digit) => digit.repeat(64)) as [string, string, string];
const STATE = new TextEncoder().encode("state");

/** Keeps a template whose memory has so many bytes on disk, last used so many seconds after 1970. */
async function make(key: string, bytes: number, usedAt: number): Promise<void> {
  const claimed = await claim(directory, key, lockFile);
  if (claimed === null) throw new Error("somebody else makes it");
  const memory = join(claimed.part, MEMORY);
  writeFileSync(memory, new Uint8Array(bytes).fill(1), { mode: 0o600 });
  truncateSync(memory, 1 << 20);
  await keep(claimed.part, FACTS, STATE, "boot");
  await claimed.release();
  utimesSync(join(directory, key), usedAt, usedAt);
}

test("what was kept is found, whole, and under its own key alone", async () => {
  await make(A, 4096, 1000);
  const found = await findTemplate(directory, A, OWNERS, "boot");
  expect(found).toMatchObject({ key: A, manifest: FACTS, memory: join(directory, A, MEMORY) });
  expect(found?.state).toEqual(new Uint8Array(STATE));
  expect(await findTemplate(directory, B, OWNERS, "boot")).toBeNull();
  expect(readdirSync(directory)).toEqual([A]);
});

test("one is made by one at a time, and what a killed maker left is gone with the next", async () => {
  const first = await claim(directory, A, lockFile);
  expect(await claim(directory, A, lockFile)).toBeNull();
  expect(await claim(directory, B, lockFile)).not.toBeNull();
  writeFileSync(join(first?.part ?? "", "half"), "");
  await first?.release();
  expect(existsSync(first?.part ?? "")).toBe(false);
  mkdirSync(join(directory, `${C}.part/deep`), { recursive: true });
  const third = await claim(directory, C, lockFile);
  expect(readdirSync(third?.part ?? "")).toEqual([]);
});

test("those used the longest ago go, and with them what nobody can use or has left behind", async () => {
  await make(A, 1 << 20, 1000);
  await make(B, 1 << 20, 3000);
  await make(C, 1 << 20, 2000);
  mkdirSync(join(directory, `${"d".repeat(64)}.part`));
  mkdirSync(join(directory, "0123456789abcdef.gone/deep"), { recursive: true });
  writeFileSync(join(directory, "notes"), "not ours");
  const making = await claim(directory, "e".repeat(64), lockFile);
  expect((await listTemplates(directory)).map(({ key }) => key)).toEqual([B, C, A]);
  expect(await evict(directory, 2.5 * 2 ** 20, lockFile)).toEqual([A]);
  expect(readdirSync(directory).sort()).toEqual(
    [B, C, `${"e".repeat(64)}.lock`, `${"e".repeat(64)}.part`, "notes"].sort(),
  );
  writeFileSync(join(directory, B, "manifest.json"), "none");
  expect(await evict(directory, 2 ** 40, lockFile)).toEqual([B]);
  await making?.release();
});

test("what stands in a template's place is looked at, and a link is none", async () => {
  await make(A, 4096, 1000);
  symlinkSync(A, join(directory, B));
  symlinkSync("/etc", join(directory, C));
  await expect(findTemplate(directory, C, OWNERS, "boot")).rejects.toThrow();
  expect(await evict(directory, 0, lockFile)).toContain(C);
  expect(existsSync("/etc/passwd")).toBe(true);
});

test("a failure is remembered for a day, or until one was made", async () => {
  await noteFailure(directory, A);
  expect(await failedLately(directory, A)).toBe(true);
  expect(await failedLately(directory, B)).toBe(false);
  utimesSync(join(directory, `${A}.failed`), 1000, 1000);
  expect(await failedLately(directory, A)).toBe(false);
  await noteFailure(directory, A);
  await make(A, 4096, 1000);
  expect(await failedLately(directory, A)).toBe(false);
});

test("whatever the machine is made of makes another key", async () => {
  const file = join(directory, "file");
  writeFileSync(file, "one");
  const base: Ingredients = {
    build: "1",
    argv: ["qemu"],
    files: [file],
    user: 0,
    processor: "",
    preparation: {},
    entries: [{ path: "/etc/a", data: STATE }],
  };
  const others: readonly Partial<Ingredients>[] = [
    {},
    { build: "2" },
    { argv: ["qemu", "-m"] },
    { files: [] },
    { user: 1 },
    { processor: "x" },
    { preparation: { home: "/" } },
    { entries: [] },
    { entries: [{ path: "/etc/a", data: new Uint8Array(STATE.length) }] },
    { entries: [{ path: "/etc/b", data: STATE }] },
    { entries: [{ path: "/etc/a", data: STATE, mode: 0o600 }] },
    { entries: [{ path: "/etc/a", link: "b" }] },
  ];
  const keys = await Promise.all(others.map((other) => templateKey({ ...base, ...other })));
  expect(new Set(keys).size).toBe(others.length);
  expect(await templateKey(base)).toBe(keys[0] ?? "");
  writeFileSync(file, "two");
  expect(keys).not.toContain(await templateKey(base));
});

test("a manifest is whole or none", () => {
  const whole = { ...FACTS, state: A, memory: B };
  expect(parseManifest(JSON.stringify({ ...whole, more: 1 }))).toEqual(whole);
  const { size, ...rest } = whole;
  for (
    const other of [
      rest,
      { ...whole, state: "short" },
      { ...whole, calls: -1 },
      { ...whole, calls: 1.5 },
      { ...rest, size: { ...size, network: "yes" } },
      { ...rest, size: { ...size, root: undefined } },
      null,
      [],
      "",
    ]
  ) {
    expect(parseManifest(JSON.stringify(other))).toBeNull();
  }
  expect(parseManifest("{")).toBeNull();
});

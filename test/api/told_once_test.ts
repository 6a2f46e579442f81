import { afterAll, expect, test } from "bun:test";
import { lstatSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { run } from "../support/process.ts";

const place = mkdtempSync(join(tmpdir(), "sbx-told-"));
afterAll(() => rmSync(place, { recursive: true, force: true }));

const MODULE = join(import.meta.dirname, "../../lib/api/told_once.ts");
const TELL = `import { isFirstTelling } from "${MODULE}"; console.log(isFirstTelling("emulated"));`;

/** What a process of its own is told, with this cache. */
const first = async (cache: string) =>
  (await run([process.execPath, "-e", TELL], { env: { XDG_CACHE_HOME: cache } })).stdout.trim();

test("a line is told once on a machine, by one of many at once", async () => {
  const told = await Promise.all(Array.from({ length: 6 }, () => first(join(place, "cache"))));
  expect(told.filter((each) => each === "true").length).toBe(1);
  expect(await first(join(place, "cache"))).toBe("false");
  expect(await first(join(place, "other"))).toBe("true");
});

test("a link in its place is not followed, and a cache that cannot be written tells each time", async () => {
  const cache = join(place, "linked");
  await first(cache);
  const [name = ""] = readdirSync(join(cache, "sbx"));
  rmSync(join(cache, "sbx", name));
  symlinkSync(join(place, "victim"), join(cache, "sbx", name));
  expect(await first(cache)).toBe("false");
  expect(() => lstatSync(join(place, "victim"))).toThrow("ENOENT");
  expect([await first("/dev/null"), await first("/dev/null")]).toEqual(["true", "true"]);
});

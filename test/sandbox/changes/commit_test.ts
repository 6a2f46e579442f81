/** What is taken over while others go on: several copies, and a user who works in the directory meanwhile. */
import { afterAll, beforeEach, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import type { FileGuest } from "../../../lib/guest/files.ts";
import { walkBase } from "../../../lib/sandbox/changes/base_walk.ts";
import { Copies } from "../../../lib/sandbox/changes/copies.ts";
import { Lifetime } from "../../../lib/sandbox/lifetime.ts";
import { copiesOf, plant, stateOf, type Tale, told, toldGuest } from "./told_guest.ts";

const base = mkdtempSync(`${tmpdir()}/sbx-commit-`);
afterAll(() => rmSync(base, { recursive: true, force: true }));

let home: string;
beforeEach(() => {
  home = mkdtempSync(`${base}/`);
});

test("with a digest, nothing is taken over of any copy when one sends something else", async () => {
  const guests: Readonly<Record<string, FileGuest>> = {
    "/one": toldGuest({ file: "there" }),
    "/two": toldGuest({ file: "there" }, { content: { file: "other" } }),
  };
  const copies = [];
  for (const guest of ["/one", "/two"]) {
    const host = join(home, guest);
    plant(host, { file: "here" });
    copies.push({ host, guest, base: await walkBase(host), mounted: [] });
  }
  const both = new Copies({
    guest: { files: (request) => guests[request.path]?.files(request) as never },
    lifetime: new Lifetime(),
    copies,
    keep: () => Promise.resolve(),
  });
  const { digest } = await both.diff({});
  await expect(both.apply({ digest })).rejects.toMatchObject({ code: "CHANGES_MOVED" });
  expect(stateOf(home)).toEqual(["one/", "one/file: here", "two/", "two/file: here"]);
  expect(told(await both.apply({})).applied).toEqual(["modified file"]);
  expect(stateOf(home)).toEqual(["one/", "one/file: there", "two/", "two/file: here"]);
});

test("what a user writes while the rest is taken over is a conflict afterwards", async () => {
  const names = Array.from({ length: 500 }, (_, index) => `file${String(index).padStart(3, "0")}`);
  const first = join(home, "file000");
  plant(home, Object.fromEntries(names.map((name) => [name, "here"])));
  let tale: Tale = Object.fromEntries(names.map((name) => [name, "there"]));
  const copies = await copiesOf(home, { files: (request) => toldGuest(tale).files(request) });
  const taking = copies.apply({});
  while (readFileSync(first, "utf8") !== "there") await turn();
  expect(readFileSync(join(home, "file499"), "utf8")).toBe("here");
  writeFileSync(first, "mine!");
  expect(told(await taking).failed).toEqual([]);
  tale = { file000: "again", file001: "again" };
  expect(told(await copies.apply({}))).toEqual({
    applied: ["modified file001"],
    held: ["conflict file000"],
    failed: [],
  });
  expect(readFileSync(first, "utf8")).toBe("mine!");
});

import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  holds,
  locate,
  type Location,
  parseMountTable,
  placesOnTheWay,
} from "../../lib/sandbox/directory_tree.ts";

const place = realpathSync(mkdtempSync(join(tmpdir(), "sbx-tree-")));
afterAll(() => rmSync(place, { recursive: true }));

const TABLE = parseMountTable(
  [
    "22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw",
    "23 22 8:2 / /home rw - ext4 /dev/sda2 rw",
    "24 22 8:2 /u/.cache /srv/a\\040cache rw - ext4 /dev/sda2 rw",
    "25 22 8:2 /u /data/in/home rw - ext4 /dev/sda2 rw",
    "26 22 0:40 / /tmp rw - tmpfs none rw",
    "27 26 8:1 /var /tmp rw - ext4 /dev/sda1 rw",
    "",
  ].join("\n"),
);

/** As if only the mount table told them apart. */
const named = (path: string): Location => ({ path, above: [], exists: false });

test.each(
  [
    ["itself", "/home/u", "/home/u", true],
    ["what is below", "/home/u", "/home/u/.cache/sbx", true],
    ["everything", "/", "/home/u/.cache", true],
    ["a name that only begins alike", "/home/u", "/home/user", false],
    ["what is above", "/home/u/.cache", "/home/u", false],
    ["a second mount of a part", "/srv/a cache", "/home/u/.cache/sbx", true],
    ["a part of what is mounted a second time", "/home/u", "/srv/a cache/sbx", true],
    ["a second mount below", "/data", "/home/u/.cache/sbx", true],
    ["what is beside the second mount", "/srv/a cache", "/home/u/.config", false],
    ["the same path of another device", "/u", "/home/u/x", false],
    ["the upper of two mounts", "/var", "/tmp/x", true],
  ] as const,
)("a directory holds %s", (_, directory, other, held) => {
  expect(holds(named(directory), named(other), TABLE)).toBe(held);
});

test("without a mount table inodes tell", async () => {
  mkdirSync(join(place, "a/b"), { recursive: true });
  symlinkSync("a", join(place, "link"));
  const [a, below, missing, beside] = await Promise.all(
    ["link", "a/b", "a/none/at/all", "."].map((path) => locate(join(place, path))),
  );
  if (!a || !below || !missing || !beside) throw new Error("not located");
  expect(holds(a, below, [])).toBe(true);
  expect(holds(a, missing, [])).toBe(true);
  expect(holds(a, beside, [])).toBe(false);
  expect(missing.path).toBe(join(place, "a/none/at/all"));
});

test("every link on the way counts, and '..' is above what a link leads to", async () => {
  mkdirSync(join(place, "x/y"), { recursive: true });
  symlinkSync("x/y", join(place, "l1"));
  symlinkSync(`${place}/l1/..`, join(place, "l2"));
  symlinkSync("loop", join(place, "loop"));
  expect(await placesOnTheWay(join(place, "l2/file"))).toEqual([
    join(place, "l2"),
    join(place, "l1"),
    join(place, "x/file"),
  ]);
  expect(await placesOnTheWay(`${place}/l1/../y//./z`)).toEqual([
    join(place, "l1"),
    join(place, "x/y/z"),
  ]);
  expect((await placesOnTheWay(join(place, "loop"))).length).toBeLessThan(50);
});

/** What a guest tells of changes fills no memory, and keeps nobody else waiting. */
import { expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { encodeHole } from "../../../lib/guest/agent/tree_record.ts";
import { OpenDirectory } from "../../../lib/host/open_directory.ts";
import { OpenTree } from "../../../lib/host/open_tree.ts";
import { walkBase } from "../../../lib/sandbox/changes/base_walk.ts";
import { digestOf } from "../../../lib/sandbox/changes/choose.ts";
import { compare } from "../../../lib/sandbox/changes/compare.ts";
import { readReported } from "../../../lib/sandbox/changes/reported.ts";
import {
  copiesOf,
  dataOf,
  encoded,
  gone,
  listOf,
  ownDirectory,
  plant,
  type Tale,
  toldGuest,
} from "./told_guest.ts";

const top = ownDirectory();
plant(top, { file: "here\n" });

const directory = { type: "directory" } as const;

test("names that would fill the memory refuse the whole list", async () => {
  const far = Buffer.alloc(4095, "x");
  const links = Array.from(
    { length: 17_000 },
    (_, at) => encoded(`link${at}`, { type: "symlink", target: far }),
  );
  const list = Buffer.concat([encoded("", directory), ...links, listOf({}).subarray(-4)]);
  await expect((await copiesOf(top, toldGuest({}, { list }))).apply({})).rejects.toMatchObject({
    code: "FILE_TOO_LARGE",
    message: expect.stringContaining("64 MiB"),
  });
});

test("a hole of any size leaves others their turn, and is given up by a signal", async () => {
  const size = 32 * 1024 ** 3;
  const head = encoded("", directory);
  const list = Buffer.concat([
    ...[head, encoded("large", { size }), dataOf(Buffer.alloc(32, 7))],
    listOf({}).subarray(-4),
  ]);
  const taken = Buffer.concat([
    ...[head, encoded("large", {}), encodeHole(size), listOf({}).subarray(-4)],
  ]);
  const copies = await copiesOf(top, toldGuest({}, { list, taken }));
  const ending = new AbortController();
  setTimeout(() => ending.abort(new Error("enough")), 100);
  await expect(copies.apply({}, ending.signal)).rejects.toThrow("enough");
  expect(readdirSync(top)).toEqual(["file"]);
}, 60_000);

const heard = (tale: Tale) => readReported(new Blob([Buffer.from(listOf(tale))]).stream());

test("others have their turn while many changes are judged, and while they are summed up", async () => {
  const tree = new OpenTree(await OpenDirectory.open(top));
  let turns = 0;
  let isOver = false;
  const counting = (async () => {
    for (; !isOver; turns++) await turn();
  })();
  /** Asked of each change when that is judged. */
  class Asked extends Map<string, string> {
    readonly turns = new Set<number>();
    override get(path: string) {
      this.turns.add(turns);
      return super.get(path);
    }
  }
  try {
    const base = new Asked();
    const names = Array.from({ length: 5_000 }, (_, at) => `${at}`);
    const reported = await heard(Object.fromEntries(names.map((name) => [name, "there"])));
    const sides = { tree, host: top, guest: "/work", mounted: [], base };
    const changes = await compare(reported, sides);
    expect(changes.length).toBe(names.length);
    expect(base.turns.size).toBeGreaterThan(5);
    const before = turns;
    await digestOf(changes);
    expect(turns - before).toBeGreaterThan(5);
  } finally {
    isOver = true;
    await counting;
    await tree.close();
  }
});

test("names that a file system could take for one another cost no more than others", async () => {
  const many = mkdtempSync(join(tmpdir(), "sbx-names-"));
  /** All ways to write a word. */
  const cases = (word: string): string[] =>
    word === "" ? [""] : cases(word.slice(1)).flatMap((rest) => {
      const letter = word[0] ?? "";
      return [letter + rest, letter.toUpperCase() + rest];
    });
  const names = cases("abcdefgh");
  let looks = 0;
  class Counted extends OpenTree {
    override async find(path: string) {
      looks++;
      return await super.find(path);
    }
  }
  const here = names.filter((_, at) => at % 2 === 0);
  plant(many, Object.fromEntries(here.map((name) => [name, name])));
  const tree = new Counted(await OpenDirectory.open(many));
  try {
    const { tree: base } = await walkBase(many);
    const tale = Object.fromEntries(
      names.map((name) => [name, here.includes(name) ? gone : "there"]),
    );
    const changes = await compare(await heard(tale), {
      ...{ tree, host: many, guest: "/work", mounted: [], base },
    });
    expect(changes.filter(({ kind }) => kind === "deleted").length).toBe(here.length);
    expect(looks).toBeLessThan(3 * names.length);
  } finally {
    await tree.close();
    rmSync(many, { recursive: true });
  }
});

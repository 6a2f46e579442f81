/** What is taken over while others go on: several copies, and a user who works in the directory meanwhile. */
import { beforeEach, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import {
  existsSync,
  linkSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import type { FileGuest } from "../../../lib/guest/files.ts";
import { OpenDirectory } from "../../../lib/host/open_directory.ts";
import { OpenTree } from "../../../lib/host/open_tree.ts";
import { walkBase } from "../../../lib/sandbox/changes/base_walk.ts";
import { commit } from "../../../lib/sandbox/changes/commit.ts";
import { compare, type FoundChange } from "../../../lib/sandbox/changes/compare.ts";
import { Copies } from "../../../lib/sandbox/changes/copies.ts";
import { putWhereNothingIs } from "../../../lib/sandbox/changes/put.ts";
import { readReported } from "../../../lib/sandbox/changes/reported.ts";
import { Lifetime } from "../../../lib/sandbox/lifetime.ts";
import {
  applied,
  copiesOf,
  dataOf,
  directory,
  encoded,
  gone,
  link,
  listOf,
  ownDirectory,
  plant,
  stateOf,
  type Tale,
  told,
  toldGuest,
} from "./told_guest.ts";

const base = ownDirectory();

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

/** One byte more than the path of a link can have here, which the records of a tree allow. */
const TOO_FAR = link("x".repeat(4096));

test.each<[what: string, tale: Tale]>([
  ["a file", { file: TOO_FAR }],
  ["a directory", { src: TOO_FAR }],
  ["a file of which another has the content", { file: TOO_FAR, moved: "here", "src/main": gone }],
])("what cannot be made costs nothing of what it was to take the place of: %s", async (_, tale) => {
  plant(home, { file: "here", "src/main": "here" });
  const before = stateOf(home).filter((line) => !line.startsWith("moved"));
  const { applied: done, failed } = await applied(home, { src: { type: "directory" }, ...tale });
  expect(stateOf(home).filter((line) => !line.startsWith("moved"))).toEqual(before);
  expect(failed[0]).toContain("too long");
  expect(done.filter((line) => !line.endsWith("moved"))).toEqual([]);
});

test("links are replaced on another file system than the one where they are made", async () => {
  const elsewhere = mkdtempSync("/dev/shm/sbx-stage-");
  const tree = new OpenTree(await OpenDirectory.open(home));
  const stage = await OpenDirectory.open(elsewhere);
  try {
    for (const name of ["a", "b"]) symlinkSync("old", join(home, name));
    const tale = { a: link("new"), b: link("new") };
    const changes = await compare(
      await readReported(new Blob([Buffer.from(listOf(tale))]).stream()),
      { tree, host: home, guest: "/work", mounted: [], base: (await walkBase(home)).tree },
    );
    expect((await commit(changes, { tree, stage, staged: new Map() })).failed).toEqual([]);
    expect(stateOf(home)).toEqual(["a → new", "b → new"]);
  } finally {
    await stage.close();
    await tree.close();
    rmSync(elsewhere, { recursive: true });
  }
});

test("what came meanwhile stays where no second name can be given either", async () => {
  const elsewhere = mkdtempSync("/dev/shm/sbx-stage-");
  const directory = await OpenDirectory.open(home);
  const put = (name: string) =>
    putWhereNothingIs(
      Buffer.from(join(elsewhere, name)),
      directory,
      directory.at(Buffer.from(name)),
    );
  try {
    plant(elsewhere, { file: "there", free: "there" });
    symlinkSync("there", join(elsewhere, "link"));
    plant(home, { file: "mine", link: "mine" });
    for (const name of ["file", "link"]) {
      await expect(put(name)).rejects.toMatchObject({ code: "EEXIST" });
    }
    await put("free");
    expect(stateOf(home)).toEqual(["file: mine", "free: there", "link: mine"]);
  } finally {
    await directory.close();
    rmSync(elsewhere, { recursive: true });
  }
});

test("what another name of a file leads to stays as it is, permission bits included", async () => {
  const outside = join(home, "outside");
  const top = join(home, "top");
  plant(top, { script: "here", text: "here" });
  for (const name of ["script", "text"]) linkSync(join(top, name), `${outside}-${name}`);
  const list = Buffer.concat([
    encoded("", { type: "directory" }),
    encoded("script", { mode: 0o777, size: 4 }),
    dataOf(new Bun.CryptoHasher("sha256").update("here").digest()),
    listOf({}).subarray(-4),
  ]);
  expect((await applied(top, {}, {}, { list })).applied).toEqual(["mode script"]);
  expect((await applied(top, { text: "there" })).applied).toEqual(["modified text"]);
  expect(stateOf(home).map((line) => line.replace(/^outside-/, ""))).toEqual([
    ...["script: here", "text: here", "top/", "top/script: here", "top/text: there"],
  ]);
  expect(statSync(join(top, "script")).mode & 0o777).toBe(0o777);
  expect(statSync(`${outside}-script`).mode & 0o777).toBe(0o644);
});

/** `moved` comes to stand here meanwhile, so that what the guest has there cannot. */
const MOVED_AWAY: readonly (readonly [what: string, tale: Tale])[] = [
  ["a directory that became a link", { moved: "there", src: link("x") }],
  ["a directory that became a file", { moved: "there", src: "x" }],
  ["a file that became a link", { moved: "there", file: link("x") }],
  ["a file that became a directory", { moved: "there", file: directory, "file/in": "x" }],
];

test.each(MOVED_AWAY)(
  "what failed elsewhere may be the content of %s, which stays",
  async (_, tale) => {
    plant(home, { file: "here", "src/main": "here" });
    const { applied: done, failed } = await applied(home, tale, {}, {
      meanwhile: () => writeFileSync(join(home, "moved"), "mine"),
    });
    expect(done).toEqual([]);
    expect(failed).toContain("moved: it was changed here meanwhile");
    expect(stateOf(home)).toEqual(["file: here", "moved: mine", "src/", "src/main: here"]);
  },
);

test("what is in a directory that was a file may be the content of a directory that goes", async () => {
  plant(home, { file: "here", "src/main": "here" });
  const tale = { file: directory, "file/in": TOO_FAR, src: link("x") };
  expect((await applied(home, tale)).applied).toEqual(["type file"]);
  expect(stateOf(home)).toEqual(["file/", "src/", "src/main: here"]);
});

test("what is written to a file of several names while its bits change stays, and is told", async () => {
  const file = join(home, "file");
  const elsewhere = mkdtempSync(`${base}/`);
  const tree = new OpenTree(await OpenDirectory.open(home));
  const stage = await OpenDirectory.open(elsewhere);
  try {
    plant(home, { file: "here" });
    truncateSync(file, 64 << 20);
    linkSync(file, join(elsewhere, "other"));
    const stamp = (await walkBase(home)).tree.get("file");
    const info = { kind: "file", size: 64 << 20 } as const;
    const path = { path: "file", guestPath: "/work/file", hostPath: file };
    const bits = { before: { ...info, mode: 0o644 }, after: { ...info, mode: 0o755 } };
    const changes = [{ ...path, kind: "mode", ...bits, stamp } as FoundChange];
    const committing = commit(changes, { tree, stage, staged: new Map() });
    while (!existsSync(join(elsewhere, "made0"))) await turn();
    writeFileSync(file, "mine", { flag: "r+" });
    expect((await committing).failed.map(({ message }) => message))
      .toEqual(["it was changed here meanwhile"]);
    expect(statSync(file).ino).toBe(statSync(join(elsewhere, "other")).ino);
  } finally {
    await stage.close();
    await tree.close();
  }
});

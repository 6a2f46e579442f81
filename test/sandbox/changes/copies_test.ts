/** What a guest says that it changed, against this machine: what is taken over, and what never is. */
import { beforeEach, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { SbxError } from "../../../lib/base/errors.ts";
import { encodeHole } from "../../../lib/guest/agent/tree_record.ts";
import type { ApplyChangesOptions } from "../../../lib/sandbox/changes/change.ts";
import { mutate } from "../../support/mutate.ts";
import {
  applied,
  copiesOf,
  dataOf,
  directory,
  encoded,
  gone,
  type Lies,
  link,
  listOf,
  ownDirectory,
  plant,
  plantTop,
  stateOf,
  type Tale,
  told,
  toldGuest,
  whole,
} from "./told_guest.ts";

const base = ownDirectory();

let home: string;
let top: string;
beforeEach(() => {
  ({ home, top } = plantTop(base));
});

const apply = (tale: Tale, options?: ApplyChangesOptions, lies?: Lies) =>
  applied(top, tale, options, lies);

const TAKEN: readonly (readonly [name: string, tale: Tale, state: readonly string[]])[] = [
  ["a file that was written to", { file: "there" }, [
    ...["file: there", "src/", "src/deep/", "src/deep/inner: here", "src/main: here"],
  ]],
  ["directories with what is in them", { new: whole, "new/in": whole, "new/in/file": "there" }, [
    ...["file: here", "new/", "new/in/", "new/in/file: there"],
    ...["src/", "src/deep/", "src/deep/inner: here", "src/main: here"],
  ]],
  ["a directory that is gone", { src: gone }, ["file: here"]],
  ["a directory with other things in it", { src: whole, "src/other": "there" }, [
    ...["file: here", "src/", "src/other: there"],
  ]],
  ["a file in a directory's place", { src: "there" }, ["file: here", "src: there"]],
  ["a directory in a file's place", { file: whole, "file/in": "there" }, [
    ...["file/", "file/in: there", "src/", "src/deep/", "src/deep/inner: here", "src/main: here"],
  ]],
  ["links within", { link: link("src/main"), src: directory, "src/up": link("../file") }, [
    ...["file: here", "link → src/main", "src/", "src/deep/", "src/deep/inner: here"],
    ...["src/main: here", "src/up → ../file"],
  ]],
  ["a name that is no text", { "a\nb\u001b[31m\u202e": "there" }, [
    ...["a\nb\u001b[31m\u202e: there", "file: here", "src/", "src/deep/"],
    ...["src/deep/inner: here", "src/main: here"],
  ]],
];

test.each(TAKEN)("%s is taken over", async (_, tale, state) => {
  const { held, failed } = await apply(tale);
  expect({ held, failed, state: stateOf(top) }).toEqual({
    held: [],
    failed: [],
    state: [...state],
  });
  expect((await (await copiesOf(top, toldGuest(tale))).diff({})).changes).toEqual([]);
});

const CONFLICTS: readonly (readonly [name: string, tale: Tale, here: () => void])[] = [
  ["a file that both changed", { file: "there" }, () => writeFileSync(join(top, "file"), "me\n")],
  ["a file that both made", { new: "there" }, () => writeFileSync(join(top, "new"), "me\n")],
  ["a file that one removed", { file: gone }, () => writeFileSync(join(top, "file"), "me\n")],
  ["a file that the other removed", { file: "there" }, () => rmSync(join(top, "file"))],
  ["a directory with a file more", { src: gone }, () => writeFileSync(join(top, "src/x"), "me\n")],
  ["a file whose bits changed", { file: "there" }, () => chmodSync(join(top, "file"), 0o600)],
];

test.each(CONFLICTS)("%s is a conflict, and the guest's with a word", async (_, tale, here) => {
  const copies = await copiesOf(top, toldGuest(tale));
  here();
  const before = stateOf(top);
  const [path] = Object.keys(tale);
  expect(told(await copies.apply({})).held).toContain(`conflict ${path}`);
  const left = stateOf(top);
  if (path !== "src") expect(left).toEqual(before);
  else expect(left).toEqual(["file: here", "src/", "src/x: me"]);
  expect(told(await copies.apply({ force: true })).held).toEqual([]);
  expect((await copies.diff({})).changes).toEqual([]);
});

test("a force takes over nothing that is unsafe", async () => {
  plant(top, { ".envrc": "here" });
  const copies = await copiesOf(top, toldGuest({ ".envrc": "there" }));
  writeFileSync(join(top, ".envrc"), "me");
  expect(told(await copies.apply({ force: true })).held).toEqual(["executed .envrc"]);
  expect(readFileSync(join(top, ".envrc"), "utf8")).toBe("me");
});

test("a link that takes the place of a directory here leads nothing elsewhere", async () => {
  const tale = { src: directory, "src/main": "there", "src/new": "there" };
  const copies = await copiesOf(top, toldGuest(tale));
  mkdirSync(join(home, "elsewhere"));
  rmSync(join(top, "src"), { recursive: true });
  symlinkSync("../elsewhere", join(top, "src"));
  const { held, applied } = told(await copies.apply({ includeUnsafe: true }));
  expect({ held, applied }).toEqual({
    held: ["conflict src", "conflict src/main", "conflict src/new"],
    applied: [],
  });
  expect(readdirSync(join(home, "elsewhere"))).toEqual([]);
});

test("a link that comes between looking and taking over leads nothing elsewhere", async () => {
  mkdirSync(join(home, "elsewhere"));
  const tale = { src: directory, "src/main": "there", "src/new": "there" };
  const { failed, applied } = await apply(tale, {}, {
    meanwhile() {
      rmSync(join(top, "src"), { recursive: true });
      symlinkSync("../elsewhere", join(top, "src"));
    },
  });
  expect(applied).toEqual([]);
  expect(failed.length).toBe(2);
  expect(readdirSync(join(home, "elsewhere"))).toEqual([]);
});

test("what is changed here meanwhile stays, and the rest is whole", async () => {
  const report = await apply({ file: "there", new: "there", other: "there" }, {}, {
    meanwhile() {
      writeFileSync(join(top, "file"), "me");
      writeFileSync(join(top, "new"), "me");
    },
  });
  expect(report).toEqual({
    applied: ["added other"],
    held: [],
    failed: ["file: it was changed here meanwhile", "new: it was changed here meanwhile"],
  });
  expect(readFileSync(join(top, "file"), "utf8") + readFileSync(join(top, "new"), "utf8"))
    .toBe("meme");
});

const LIES: readonly (readonly [name: string, lies: Lies])[] = [
  ["other content", { content: { file: "evil" } }],
  ["more of it", { content: { file: "thereandmore" } }],
  ["less of it", { content: { file: "the" } }],
];

test.each(LIES)("a guest that shows one thing and sends %s changes nothing", async (_, lies) => {
  const before = stateOf(top);
  const tale = { file: "there" };
  expect(await apply(tale, {}, lies)).toEqual({
    applied: [],
    held: [],
    failed: ["file: the guest has changed it since it was looked at"],
  });
  const exact = await copiesOf(top, toldGuest(tale, lies));
  const { digest } = await exact.diff({});
  await expect(exact.apply({ digest })).rejects.toMatchObject({ code: "CHANGES_MOVED" });
  expect(stateOf(top)).toEqual(before);
});

test("with what was looked at, just that is taken over or nothing", async () => {
  const before = stateOf(top);
  const shown = await (await copiesOf(top, toldGuest({ file: "there" }))).diff({});
  const moved = await copiesOf(top, toldGuest({ file: "evil\n" }));
  await expect(moved.apply({ digest: shown.digest }))
    .rejects.toMatchObject({ code: "CHANGES_MOVED" });
  expect(stateOf(top)).toEqual(before);
  const same = await copiesOf(top, toldGuest({ file: "there" }));
  expect(told(await same.apply({ digest: shown.digest })).applied).toEqual(["modified file"]);
});

test("permission bits come over, and no others", async () => {
  const tale = { file: { type: "file", mode: 0o6755, size: 5 }, new: { ...whole, mode: 0o7700 } };
  const list = Buffer.concat([
    encoded("", directory),
    encoded("file", tale.file as never),
    dataOf(new Bun.CryptoHasher("sha256").update("here\n").digest()),
    encoded("new", tale.new),
    listOf({}).subarray(-4),
  ]);
  expect((await apply({}, {}, { list })).applied).toEqual(["mode file", "added new"]);
  expect(statSync(join(top, "file")).mode & 0o7777).toBe(0o755);
  expect(statSync(join(top, "new")).mode & 0o7777).toBe(0o700);
});

test("a dry run tells the same, and does nothing", async () => {
  const before = stateOf(top);
  expect((await apply({ file: "there", src: gone }, { dryRun: true })).applied.length).toBe(5);
  expect(stateOf(top)).toEqual(before);
});

test("a path chooses what is below it, with the directory that it needs", async () => {
  const tale = { file: "there", new: whole, "new/a": "there", "new/b": "there" };
  expect((await apply(tale, { paths: ["new/a"] })).applied).toEqual(["added new", "added new/a"]);
  await expect(apply(tale, { paths: ["none"] })).rejects.toMatchObject({ code: "FILE_NOT_FOUND" });
  await expect(apply(tale, { paths: ["../top"] })).rejects.toMatchObject({ code: "USAGE" });
});

test("what is in other mounts of the guest is nobody's change", async () => {
  const tale = { mounted: directory, "mounted/here": directory, "mounted/here/x": "there" };
  expect(await apply(tale)).toEqual({ applied: [], held: [], failed: [] });
});

const IMPOSSIBLE: readonly (readonly [name: string, list: Uint8Array])[] = [
  ["a name that climbs", listOf({ "../secret": "there" })],
  ["an absolute name", listOf({ "/etc/passwd": "there" })],
  ["a name in the middle that climbs", listOf({ src: directory, "src/../../secret": "x" })],
  ["an empty step", listOf({ "src//x": "there" })],
  ["a file below a file", listOf({ file: "there", "file/x": "there" })],
  ["a file below a link", listOf({ out: link("/etc"), "out/passwd": "there" })],
  ["a file below nothing", listOf({ "none/x": "there" })],
  ["a name twice", Buffer.concat([listOf({ file: "a" }).subarray(0, -4), listOf({ file: "b" })])],
  ["a part of a list", listOf({ file: "there" }).subarray(0, -4)],
  [
    "content where a digest is",
    Buffer.concat([
      encoded("", directory),
      encoded("file", {}),
      dataOf(Buffer.from("evil")),
    ]),
  ],
  [
    "a hole where a digest is",
    Buffer.concat([
      encoded("", directory),
      encoded("file", {}),
      encodeHole(32),
    ]),
  ],
  ["a second name of a file", listOf({ other: { type: "link", id: 1 } })],
];

test.each(IMPOSSIBLE)("%s refuses the whole list", async (_, list) => {
  const before = stateOf(home);
  await expect(apply({}, {}, { list })).rejects.toMatchObject({ code: "PROTOCOL" });
  expect(stateOf(home)).toEqual(before);
});

test("content that nobody asked for refuses all of it", async () => {
  const before = stateOf(home);
  const top = encoded("", directory);
  for (
    const taken of [
      Buffer.concat([top, encoded("other", {}), listOf({}).subarray(-4)]),
      Buffer.concat([top, encoded("../secret", {}), listOf({}).subarray(-4)]),
      Buffer.concat([top, listOf({}).subarray(-4)]),
      top,
    ]
  ) {
    await expect(apply({ file: "there" }, {}, { taken })).rejects.toMatchObject({
      code: "PROTOCOL",
    });
    expect(stateOf(home)).toEqual(before);
  }
});

test("no damage to what a guest sends is more than a declared error, or changes what is outside", async () => {
  const tale = { file: "there", new: whole, "new/a": "there", src: gone, l: link("file") };
  const samples: Uint8Array[] = [];
  mutate([listOf(tale), listOf({ a: link("b"), "c": "d" })], 400, (each) => samples.push(each));
  for (const list of samples) {
    const copies = await copiesOf(top, toldGuest(tale, { list }));
    await copies.apply({ dryRun: true }).catch((error) => {
      if (!(error instanceof SbxError)) throw error;
    });
  }
  const taken: Uint8Array[] = [];
  const honest = Buffer.concat([
    encoded("", directory),
    encoded("file", {}),
    dataOf(Buffer.from("there")),
    listOf({}).subarray(-4),
  ]);
  mutate([honest], 200, (each) => taken.push(each));
  for (const each of taken) {
    await apply({ file: "there" }, {}, { taken: each }).catch((error) => {
      if (!(error instanceof SbxError)) throw error;
    });
    expect(["here\n", "there"]).toContain(readFileSync(join(top, "file"), "utf8"));
    writeFileSync(join(top, "file"), "here\n");
  }
  expect(readdirSync(home).sort()).toEqual(["secret", "top"]);
  expect(readFileSync(join(home, "secret"), "utf8")).toBe("secret");
});

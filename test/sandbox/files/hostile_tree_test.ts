/** Trees that no honest agent sends, against this machine: refused whole, and nothing made beside the target. */
import { afterAll, beforeEach, expect, test } from "bun:test";
import { Buffer } from "node:buffer";
import { execFileSync } from "node:child_process";
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import process from "node:process";
import { SbxError } from "../../../lib/base/errors.ts";
import {
  asData,
  encodeAttribute,
  encodeEnd,
  encodeEntry,
  encodeHole,
  RECORD_HEAD,
  type TreeEntry,
} from "../../../lib/guest/agent/tree_record.ts";
import { OpenDirectory } from "../../../lib/host/open_directory.ts";
import { copyToHost } from "../../../lib/sandbox/copy_to_host.ts";
import { readList } from "../../../lib/sandbox/file_list.ts";
import { parseCopyPath } from "../../../lib/sandbox/copy_plan.ts";
import { mutate } from "../../support/mutate.ts";
import { everything } from "./agent_files.ts";

const base = mkdtempSync(`${tmpdir()}/sbx-hostile-tree-`);
afterAll(() => rmSync(base, { recursive: true, force: true }));

let home: string;
beforeEach(() => {
  home = mkdtempSync(`${base}/`);
  mkdirSync(`${home}/target`);
  writeFileSync(`${home}/secret`, "secret");
});

type Bytes = string | Buffer;

function entry(type: TreeEntry["type"], name: Bytes, more: Partial<TreeEntry> = {}): Uint8Array {
  return encodeEntry({
    type,
    mode: 0o755,
    size: 0,
    mtimeNs: 0n,
    uid: 0,
    gid: 0,
    id: 0,
    name: Buffer.from(name as string),
    target: Buffer.alloc(0),
    ...more,
  });
}

const root = entry("directory", "");
const end = encodeEnd();
const link = (name: Bytes, target: string) =>
  entry("symlink", name, { target: Buffer.from(target) });

const attribute = (name: Bytes, value: Bytes = "x") =>
  encodeAttribute(Buffer.from(name as string), Buffer.from(value as string));

function data(text: string): Uint8Array {
  const room = Buffer.concat([Buffer.alloc(RECORD_HEAD), Buffer.from(text)]);
  return Uint8Array.from(asData(room, text.length));
}

/** What the guest sends, in pieces of a size. */
async function receive(stream: Uint8Array, target: string, cut = 1 << 16): Promise<void> {
  await copyToHost({
    path: parseCopyPath("/guest/tree"),
    kind: "directory",
    async *tree() {
      for (let at = 0; at < stream.length; at += cut) {
        yield await Promise.resolve(stream.subarray(at, at + cut));
      }
    },
  }, target);
}

const HOSTILE: Readonly<Record<string, readonly Uint8Array[]>> = {
  "a name that climbs": [root, entry("file", "../secret"), data("x"), end],
  "a name that climbs further in": [root, entry("directory", "a"), entry("file", "a/../../x"), end],
  "an absolute name": [root, entry("file", "/etc/x"), end],
  "a name that is this directory": [root, entry("directory", "."), end],
  "a name of nothing between slashes": [root, entry("directory", "a"), entry("file", "a//b"), end],
  "a name with a slash at its end": [root, entry("directory", "a/"), end],
  "a file below a link": [root, link("a", ".."), entry("file", "a/secret"), data("x"), end],
  "a directory below a link": [root, link("a", "/"), entry("directory", "a/tmp"), end],
  "a link in the place of a directory": [root, entry("directory", "a"), link("a", "/"), end],
  "a file in the place of a link": [
    root,
    link("a", "../secret"),
    entry("file", "a"),
    data("x"),
    end,
  ],
  "two files of one name": [root, entry("file", "a"), entry("file", "a"), end],
  "a link that is there twice": [root, link("a", "b"), link("a", "c"), end],
  "a file below a file": [root, entry("file", "a"), entry("file", "a/b"), end],
  "a file whose directory has ended": [
    root,
    entry("directory", "a"),
    entry("directory", "b"),
    entry("file", "a/x"),
    end,
  ],
  "a file in no directory": [root, entry("file", "a/b"), end],
  "another name of no file": [root, entry("link", "a", { id: 7 }), end],
  "another name of a link's target": [
    root,
    link("a", "../../secret"),
    entry("link", "b", { id: 1 }),
    end,
  ],
  "no root": [entry("file", "a"), end],
  "two roots": [root, root, end],
  "nothing but an end": [end],
  "no end": [root, entry("file", "a"), data("x")],
  "half a record": [root, entry("file", "a").subarray(0, 20)],
  "something behind the end": [root, end, entry("file", "a")],
  "two ends": [root, end, end],
  "content of no file": [root, data("x"), end],
  "content of a link": [root, link("a", "b"), data("x"), end],
  "a hole in no file": [root, encodeHole(1), end],
  "a file without an end": [
    root,
    entry("file", "a"),
    encodeHole(2 ** 53 - 1),
    encodeHole(2 ** 53 - 1),
    end,
  ],
  "a name with a NUL": [root, entry("file", "a\0b"), end],
  "a link to nothing": [root, entry("symlink", "a"), end],
  "a target of what is no link": [root, entry("file", "a", { target: Buffer.from("x") }), end],
  "an unknown kind": [root, Uint8Array.of(9, 0, 0, 0), end],
  "a record without a bound": [root, Uint8Array.of(2, 255, 255, 255), end],
  "an attribute of nothing": [attribute("user.a"), root, end],
  "an attribute of a link": [root, link("a", "../secret"), attribute("user.a"), end],
  "an attribute of another name": [
    root,
    entry("file", "a", { id: 1 }),
    entry("link", "b", { id: 1 }),
    attribute("user.a"),
    end,
  ],
  "an attribute of a device": [root, entry("other", "a"), attribute("user.a"), end],
  "an attribute behind the content": [
    root,
    entry("file", "a"),
    data("x"),
    attribute("user.a"),
    end,
  ],
  "an attribute behind a hole": [
    root,
    entry("file", "a"),
    encodeHole(1),
    attribute("user.a"),
    end,
  ],
  "a capability": [root, entry("file", "a"), attribute("security.capability"), end],
  "an access list": [root, entry("file", "a"), attribute("system.posix_acl_access"), end],
  "an overlay's mark": [root, attribute("trusted.overlay.opaque", "y"), end],
  "an attribute whose name ends at once": [root, attribute("user."), end],
  "an attribute without a name": [root, attribute(""), end],
  "an attribute of no namespace": [root, attribute("user"), end],
  "an attribute of a namespace in capitals": [root, attribute("USER.a"), end],
  "an attribute with a NUL": [root, attribute("user.a\0b"), end],
  "an attribute whose name is not all there": [root, Uint8Array.of(5, 0, 0, 3, 9, 117, 115), end],
  "an attribute that is empty": [root, Uint8Array.of(5, 0, 0, 0), end],
  "an attribute with too much in it": [root, attribute("user.a", Buffer.alloc(65_537)), end],
  "an attribute without a bound": [root, Uint8Array.of(5, 255, 255, 255), end],
  "attributes without an end": [
    root,
    ...Array.from({ length: 300 }, (_, n) => attribute(`user.${"n".repeat(240)}${n}`)),
    end,
  ],
  "more directories in each other than anybody has": [
    root,
    ...Array.from(
      { length: 300 },
      (_, depth) => entry("directory", Array(depth + 1).fill("d").join("/")),
    ),
    end,
  ],
};

test("every tree that cannot be is refused, and changes nothing", async () => {
  const before = everything(home);
  for (const [name, records] of Object.entries(HOSTILE)) {
    for (const cut of [1, 1 << 16]) {
      for (const target of ["target", "new", "target/."]) {
        const copying = receive(Buffer.concat(records), `${home}/${target}`, cut);
        const error = await copying.then(() => "no error", (error: unknown) => error);
        expect(error, name).toMatchObject({ code: "PROTOCOL" });
      }
    }
  }
  const times = (line: string) => line.replace(/^((?:\/target)? \d+) \d+$/, "$1");
  expect(everything(home).map(times)).toEqual(before.map(times));
});

test("a list that cannot be, or has no end, is refused", async () => {
  const rows: [string, readonly Uint8Array[], string][] = [
    ["a name with a slash", [entry("file", "a/b"), end], "PROTOCOL"],
    ["no name", [entry("file", ""), end], "PROTOCOL"],
    ["content", [entry("file", "a"), data("x"), end], "PROTOCOL"],
    ["an attribute", [entry("file", "a"), attribute("user.a"), end], "PROTOCOL"],
    ["another name", [entry("link", "a", { id: 1 }), end], "PROTOCOL"],
    ["no end", [entry("file", "a")], "PROTOCOL"],
    ["names without an end", Array(700_000).fill(entry("file", "a".repeat(60))), "FILE_TOO_LARGE"],
  ];
  for (const [name, records, code] of rows) {
    const listing = readList("/x", ReadableStream.from([Buffer.concat(records)]));
    const error = await listing.then(() => "no error", (error: unknown) => error);
    expect(error, name).toMatchObject({ code });
  }
  const honest = ReadableStream.from([entry("file", "a", { size: 7 }), link("b", "c"), end]);
  expect(await readList("/x", honest)).toMatchObject([
    { name: "a", kind: "file", size: 7 },
    { name: "b", kind: "symlink", target: "c" },
  ]);
});

test("a tree that can be is made, however it is cut", async () => {
  const stream = Buffer.concat([
    root,
    entry("directory", "a"),
    entry("file", "a/f", { id: 1, mode: 0o640 }),
    data("he"),
    data("llo"),
    link("a/l", "../../../../etc/passwd"),
    entry("link", "b", { id: 1 }),
    entry("other", "device"),
    end,
  ]);
  for (const cut of [1, 7, 1 << 16]) {
    await receive(stream, `${home}/made-${cut}`, cut);
    expect(readdirSync(`${home}/made-${cut}`).sort()).toEqual(["a", "b"]);
    expect(readFileSync(`${home}/made-${cut}/b`, "utf8")).toBe("hello");
  }
  expect(everything(`${home}/made-1`)).toEqual(everything(`${home}/made-7`));
});

test("a tree does not replace a link, nor is a link at the target entered", async () => {
  mkdirSync(`${home}/elsewhere`);
  symlinkSync("../elsewhere", `${home}/target/tree`);
  const stream = Buffer.concat([root, entry("file", "f"), data("x"), end]);
  await expect(receive(stream, `${home}/target`)).rejects.toMatchObject({
    code: "FILE_NOT_DIRECTORY",
  });
  expect(readdirSync(`${home}/elsewhere`)).toEqual([]);
  expect(readdirSync(`${home}/target`)).toEqual(["tree"]);
});

// Elsewhere there is no path to a directory that is open.
const onLinux = test.skipIf(process.platform !== "linux");

onLinux("a directory that is swapped for a link stays the one that was opened", async () => {
  const directory = await OpenDirectory.open(`${home}/target`);
  try {
    renameSync(`${home}/target`, `${home}/moved`);
    symlinkSync("/", `${home}/target`);
    writeFileSync(directory.at(Buffer.from("file")), "x");
    expect(readFileSync(`${home}/moved/file`, "utf8")).toBe("x");
    expect(await directory.names()).toEqual([Buffer.from("file")]);
    symlinkSync("/etc", `${home}/moved/link`);
    await expect(directory.enter(Buffer.from("link"))).rejects.toThrow();
    await expect(directory.read(Buffer.from("link"))).rejects.toThrow();
  } finally {
    await directory.close();
  }
});

test("damaged trees end in a declared error or a copy, and nothing comes out above", async () => {
  const whole = Buffer.concat([
    root,
    attribute("user.top"),
    entry("directory", "a"),
    entry("file", "a/f", { id: 1 }),
    attribute("user.file", "value"),
    data("hello"),
    encodeHole(4096),
    link("a/l", "../secret"),
    entry("link", "b", { id: 1 }),
    entry("directory", "c"),
    entry("file", "c/g"),
    end,
  ]);
  const climbing = Buffer.concat([root, link("a", ".."), entry("file", "a/../x"), data("x"), end]);
  const samples: Uint8Array[] = [];
  mutate([whole, climbing], 400, (sample) => samples.push(sample));
  let at = 0;
  for (const sample of samples) {
    const target = `${home}/out-${at++}`;
    mkdirSync(target);
    const error = await receive(sample, `${target}/tree`).then(
      () => null,
      (error: unknown) => error,
    );
    if (error !== null && !(error instanceof SbxError)) throw error;
    const made = readdirSync(target);
    expect(made, Buffer.from(sample).toString("base64")).toEqual(error === null ? ["tree"] : []);
    rmSync(target, { recursive: true });
  }
  expect(execFileSync("ls", [home], { encoding: "utf8" })).toBe("secret\ntarget\n");
}, 60_000);

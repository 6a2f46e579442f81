/** What can be done with single files, by the real agent on a directory of this machine. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import {
  chmodSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import type { SandboxFiles } from "../../../lib/sandbox/files.ts";
import { Agents } from "../../guest/agent_process.ts";
import { filesOf, isRoot, namesIn, startRoot } from "./agent_files.ts";

let agents: Agents;
let fs: SandboxFiles;
let home: string;
beforeAll(() => {
  agents = new Agents();
  fs = filesOf(startRoot(agents).agent).fs;
  home = join(agents.home, "files");
  mkdirSync(home);
});
afterAll(() => agents?.close());

const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");
/** Not `join`, which loses bytes that are not UTF-8. */
const at = (name: string) => `${home}/${name}`;

async function all(stream: ReadableStream<Uint8Array>): Promise<Uint8Array> {
  return await new Response(stream).bytes();
}

test("what is written is read back, whole and in parts", async () => {
  const data = new Uint8Array(randomBytes(1_000_003));
  await fs.write(at("file ü"), data, { mode: 0o600 });
  expect(sha256(readFileSync(at("file ü")))).toBe(sha256(data));
  expect(sha256(await fs.read(at("file ü")))).toBe(sha256(data));
  expect(sha256(await all(fs.readStream(at("file ü"))))).toBe(sha256(data));
  const part = await all(fs.readStream(at("file ü"), { offset: 500_000, length: 70_000 }));
  expect(sha256(part)).toBe(sha256(data.subarray(500_000, 570_000)));
  expect(await all(fs.readStream(at("file ü"), { offset: 2_000_000 }))).toHaveLength(0);
  expect(await fs.stat(at("file ü"))).toMatchObject({
    kind: "file",
    size: data.length,
    mode: 0o600,
    uid: 0,
    mtimeMs: Math.floor(statSync(at("file ü")).mtimeMs),
  });
  await fs.write(at("empty"), "");
  expect(await fs.readText(at("empty"))).toBe("");
});

test("a file that is replaced keeps its mode, its links lead to the new one, other names to the old", async () => {
  writeFileSync(at("old"), "old");
  chmodSync(at("old"), 0o640);
  linkSync(at("old"), at("other name"));
  symlinkSync("old", at("link"));
  await fs.write(at("link"), "new");
  expect(lstatSync(at("link")).isSymbolicLink()).toBeTrue();
  expect(readFileSync(at("old"), "utf8")).toBe("new");
  expect(statSync(at("old")).mode & 0o7777).toBe(0o640);
  expect(readFileSync(at("other name"), "utf8")).toBe("old");
  await fs.write(at("old"), "newer", { mode: 0o755 });
  expect(statSync(at("old")).mode & 0o7777).toBe(0o755);
  symlinkSync("made through a link", at("dangling"));
  await fs.write(at("dangling"), "there");
  expect(readFileSync(at("made through a link"), "utf8")).toBe("there");
});

test("devices and files of the kernel's are written to as they are", async () => {
  await fs.write("/dev/null", "nothing");
  expect(lstatSync("/dev/null").isCharacterDevice()).toBeTrue();
  await expect(fs.write("/dev/full", "x")).rejects.toMatchObject({ code: "FILE_NO_SPACE" });
  await fs.write("/proc/self/comm", "renamed");
});

test("of a stream that is aborted nothing is there, and of one that is closed everything", async () => {
  mkdirSync(at("streams"));
  writeFileSync(at("streams/kept"), "old");
  const data = new Uint8Array(randomBytes(900_000));
  for (const name of ["new", "kept"]) {
    const writer = fs.writeStream(at(`streams/${name}`)).getWriter();
    await writer.write(data);
    await writer.abort();
  }
  const kept = fs.writeStream(at("streams/closed"), { mode: 0o600 }).getWriter();
  await kept.write(data);
  await kept.close();
  expect(sha256(readFileSync(at("streams/closed")))).toBe(sha256(data));
  // The answer to what comes later says that the agent is through with what was aborted.
  while (namesIn(at("streams")).some((name) => name.startsWith(".sbx"))) await fs.exists("/");
  expect(namesIn(at("streams"))).toEqual(["closed", "kept"]);
  expect(readFileSync(at("streams/kept"), "utf8")).toBe("old");
});

test("directories are made, listed, renamed and removed", async () => {
  await fs.mkdir(at("a/b/c"), { recursive: true, mode: 0o700 });
  expect(statSync(at("a/b")).mode & 0o777).toBe(0o700);
  await fs.mkdir(at("a/b/c"), { recursive: true });
  await fs.write(at("a/file"), "12345");
  await fs.symlink("no/where", at("a/link"));
  expect(await fs.readlink(at("a/link"))).toBe("no/where");
  expect(await fs.list(at("a"))).toMatchObject([
    { name: "b", kind: "directory", mode: 0o700 },
    { name: "file", kind: "file", size: 5, mode: 0o644 },
    { name: "link", kind: "symlink", target: "no/where" },
  ]);
  expect(await fs.lstat(at("a/link"))).toMatchObject({ kind: "symlink", target: "no/where" });
  expect([await fs.exists(at("a/file")), await fs.exists(at("a/link"))]).toEqual([true, false]);
  await fs.chmod(at("a/file"), 0o4711);
  expect(statSync(at("a/file")).mode & 0o7777).toBe(0o4711);
  await fs.rename(at("a/file"), at("a/renamed"));
  await fs.remove(at("a/link"));
  expect(namesIn(at("a"))).toEqual(["b", "renamed"]);
  await fs.remove(at("a"), { recursive: true });
  expect(existsSync(at("a"))).toBeFalse();
});

test("a link that is removed takes nothing with it that it leads to", async () => {
  mkdirSync(at("kept"));
  writeFileSync(at("kept/file"), "x");
  mkdirSync(at("doomed"));
  symlinkSync("../kept", at("doomed/link"));
  await fs.remove(at("doomed"), { recursive: true });
  expect([existsSync(at("doomed")), namesIn(at("kept"))]).toEqual([false, ["file"]]);
});

test("what has the name of bytes that are no text is found by it", async () => {
  const name = "\udcff\udc80ü";
  await fs.write(at(name), "bytes");
  expect(execFileSync("ls", [home], { encoding: "latin1" })).toContain("\xff\x80\xc3\xbc\n");
  expect((await fs.list(home)).map((entry) => entry.name)).toContain(name);
  expect(await fs.readText(at(name))).toBe("bytes");
  await fs.remove(at(name));
});

test("what cannot be done has a code, and words with the path", async () => {
  mkdirSync(at("full"));
  writeFileSync(at("full/file"), "x");
  execFileSync("mkfifo", [at("pipe")]);
  symlinkSync("loop", at("loop"));
  const failures: [string, () => Promise<unknown>][] = [
    ["FILE_NOT_FOUND", () => fs.read(at("none/file"))],
    ["FILE_NOT_FOUND", () => fs.write(at("none/file"), new Uint8Array(5_000_000))],
    ["FILE_NOT_FOUND", () => fs.stat(at("none"))],
    ["FILE_NOT_FOUND", () => fs.list(at("none"))],
    ["FILE_NOT_FOUND", () => fs.mkdir(at("none/directory"))],
    ["FILE_NOT_FOUND", () => fs.remove(at("none"), { recursive: true })],
    ["FILE_NOT_FOUND", () => fs.rename(at("none"), at("other"))],
    ["FILE_NOT_FOUND", () => fs.chmod(at("none"), 0o644)],
    ["FILE_NOT_DIRECTORY", () => fs.list(at("full/file"))],
    ["FILE_NOT_DIRECTORY", () => fs.read(at("full/file/below"))],
    ["FILE_IS_DIRECTORY", () => fs.read(at("full"))],
    ["FILE_IS_DIRECTORY", () => fs.write(at("full"), "x")],
    ["FILE_EXISTS", () => fs.mkdir(at("full"))],
    ["FILE_EXISTS", () => fs.mkdir(at("full/file"), { recursive: true })],
    ["FILE_EXISTS", () => fs.symlink("x", at("full"))],
    ["FILE_NOT_EMPTY", () => fs.remove(at("full"))],
    ["FILE_DENIED", () => fs.remove("/", { recursive: true })],
    ["FILE_DENIED", () => fs.remove("//etc/..", { recursive: true })],
    ["FILE_UNREADABLE", () => fs.read(at("pipe"))],
    ["FILE_UNREADABLE", () => fs.readlink(at("full"))],
    ["FILE_UNREADABLE", () => fs.write(at("loop"), "x")],
    ["FILE_UNREADABLE", () => fs.write(at("x"), "x", { user: "nobody-of-that-name" })],
  ];
  for (const [code, act] of failures) {
    const error = await act().then(() => "no error", (error: unknown) => error);
    expect(error, `${act}`).toMatchObject({ code, message: expect.stringMatching(/^Cannot .*\//) });
  }
  expect(namesIn(at("full"))).toEqual(["file"]);
});

test("arguments that cannot be are refused before the guest hears of them", async () => {
  const refused: (() => Promise<unknown>)[] = [
    () => fs.read("relative"),
    () => fs.read(""),
    () => fs.read("/a\0b"),
    () => fs.write("/a", "", { mode: 0o10000 }),
    () => fs.write("/a", "", { mode: -1 }),
    () => fs.chmod("/a", 1.5),
    () => fs.write("/a", "", { user: "a b" }),
    () => fs.chown("/a", ""),
    () => fs.symlink("", "/a"),
    () => fs.symlink("a\0b", "/a"),
    () => fs.stat(`/${"a".repeat(5_000_000)}`),
    async () => await all(fs.readStream("/a", { offset: -1 })),
    async () => await all(fs.readStream("/a", { length: Number.NaN })),
    () => fs.copyToHost("relative", "/tmp/x"),
    () => fs.copyToHost("/a", ""),
    () => fs.copyFromHost("a\0b", "/a"),
    () => fs.read(7 as unknown as string),
    () => fs.write("/a", 7 as unknown as string),
    () => fs.read("/a", { signal: {} as AbortSignal }),
    () => fs.remove("/a", { recursive: 1 as unknown as boolean }),
    () => fs.mkdir("/a", { recursiv: true } as object),
  ];
  for (const act of refused) {
    const error = await act().then(() => "no error", (error: unknown) => error);
    expect(error, `${act}`).toMatchObject({ code: "USAGE" });
  }
});

// Only root gives files away.
test.if(isRoot)(
  "what is made belongs to the user of the sandbox, or the one that is named",
  async () => {
    const { fs } = filesOf(startRoot(agents).agent, "1234:99");
    await fs.mkdir(at("owned/below"), { recursive: true });
    await fs.write(at("owned/file"), "x");
    await fs.write(at("owned/named"), "x", { user: "4321" });
    await fs.symlink("x", at("owned/link"));
    await fs.write(at("full/file"), "was there");
    const owners = ["owned", "owned/below", "owned/file", "owned/named", "owned/link", "full/file"]
      .map((name) => `${lstatSync(at(name)).uid}:${lstatSync(at(name)).gid}`);
    expect(owners).toEqual(["1234:99", "1234:99", "1234:99", "4321:0", "1234:99", "0:0"]);
    await fs.chown(at("owned/file"), "7:8");
    expect(lstatSync(at("owned/file"))).toMatchObject({ uid: 7, gid: 8 });
  },
);

test("a call that is aborted rejects, and holds up nothing", async () => {
  writeFileSync(at("endless"), "");
  truncateSync(at("endless"), 2 ** 40);
  const before = AbortSignal.abort(new Error("enough"));
  await expect(fs.read(at("endless"), { signal: before })).rejects.toBe(before.reason);
  const reading = new AbortController();
  const reader = fs.readStream(at("endless"), { signal: reading.signal }).getReader();
  await reader.read();
  reading.abort();
  await expect(reader.read()).rejects.toBe(reading.signal.reason);
  const writing = new AbortController();
  const writer = fs.writeStream(at("unwritten"), { signal: writing.signal }).getWriter();
  writer.closed.catch(() => {});
  await writer.write(new Uint8Array(1000));
  writing.abort();
  await expect(writer.close()).rejects.toBe(writing.signal.reason);
  expect(await fs.exists(at("unwritten"))).toBeFalse();
  const left = fs.readStream(at("endless"));
  await left.cancel();
  writeFileSync(at("after"), "still answers");
  expect(await fs.readText(at("after"))).toBe("still answers");
});

test("after the sandbox's end calls say so, and those under way say why it ended", async () => {
  const { agent, child } = startRoot(agents);
  const { fs, lifetime } = filesOf(agent);
  const reader = fs.readStream(at("endless")).getReader();
  await reader.read();
  child.kill("SIGKILL");
  const read = async () => {
    for (;;) await reader.read();
  };
  await expect(read()).rejects.toMatchObject({ code: "GUEST_LOST" });
  await lifetime.end();
  await expect(fs.exists("/")).rejects.toMatchObject({ code: "STOPPED" });
});

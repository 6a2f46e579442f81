/**
 * Files to and from a real guest that has no network: what they are after it, what a guest plants, and
 * what a full one says.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { execFile } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { promisify } from "node:util";
import { NetworkPolicy, Sandbox } from "../../lib/mod.ts";
import { everything, namesIn } from "../sandbox/files/agent_files.ts";

const DIRECTORIES = 100;
const FILES = 100;

const home = mkdtempSync(`${tmpdir()}/sbx-files-`);
const at = (name: string) => `${home}/${name}`;

/** A shell on this machine, in the scratch directory. */
async function host(script: string): Promise<void> {
  await promisify(execFile)("sh", ["-ec", script], { cwd: home });
}

let sandbox: Sandbox;
beforeAll(async () => {
  await host(`mkdir tree && cd tree && ln -s ../../../etc/passwd link
    seq 0 ${DIRECTORIES - 1} | xargs mkdir
    for d in *[0-9]; do for f in $(seq 0 ${FILES - 1}); do printf "$d $f" >$d/$f; done; done`);
  sandbox = await Sandbox.builder()
    .memory(512)
    .user("nobody")
    .network((network) => network.policy(NetworkPolicy.none()))
    .create();
}, 120_000);
afterAll(async () => {
  await sandbox?.stop();
  rmSync(home, { recursive: true, force: true });
});

const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

async function said(script: string, user?: string): Promise<string> {
  const command = sandbox.exec("sh", ["-ec", script], user === undefined ? {} : { user });
  const { stdout, stderr, code } = await command.output();
  expect([stderr, code]).toEqual(["", 0]);
  return stdout;
}

test("a file goes in, is the user's there, and comes back with every byte", async () => {
  const data = new Uint8Array(randomBytes(30_000_001));
  writeFileSync(at("large"), data, { mode: 0o640 });
  await sandbox.fs.copyFromHost(at("large"), "/tmp");
  expect(await said("sha256sum </tmp/large; stat -c '%U %a %s' /tmp/large")).toBe(
    `${sha256(data)}  -\nnobody 640 30000001\n`,
  );
  await sandbox.fs.copyToHost("/tmp/large", at("back"));
  expect(everything(at("back"))).toEqual(everything(at("large")));
  expect(sha256(readFileSync(at("back")))).toBe(sha256(data));
  await sandbox.fs.remove("/tmp/large");
}, 60_000);

test("a tree of ten thousand files goes in and comes back as it was", async () => {
  const report = await sandbox.fs.copyFromHost(at("tree"), "/tmp/there");
  expect(report).toMatchObject({ files: DIRECTORIES * FILES, directories: DIRECTORIES + 1 });
  expect(await said("find /tmp/there -type f | wc -l; cat /tmp/there/42/7")).toBe("10000\n42 7");
  expect(await sandbox.fs.copyToHost("/tmp/there", at("again"))).toEqual(report);
  // By programs of their own: ours must not hang for as long as that may take.
  const facts = "find . -printf '%P %y %m %T@ %l\\n' | sort";
  await host(`diff -r --no-dereference tree again`);
  await host(`(cd tree && ${facts}) >wanted; (cd again && ${facts}) >found; cmp wanted found`);
  await sandbox.fs.remove("/tmp/there", { recursive: true });
}, 120_000);

test("what the guest plants stays in the tree that is copied", async () => {
  mkdirSync(at("outside"));
  writeFileSync(at("outside/file"), "mine");
  mkdirSync(at("target"));
  await said(
    `mkdir -p /tmp/evil/dir && cd /tmp/evil && echo theirs >dir/file && ln -s ${
      at("outside")
    } link &&
    ln -s ${at("outside/file")} file && mkfifo pipe && chmod 4755 dir/file && mknod device c 1 3`,
    "root",
  );
  const report = await sandbox.fs.copyToHost("/tmp/evil", at("target"));
  expect(report).toMatchObject({ files: 1, symlinks: 2, leftOutPaths: ["device", "pipe"] });
  // The second copy meets the links of the first.
  await said(
    "cd /tmp/evil && rm link file && mkdir link && echo theirs >link/file && echo theirs >file",
    "root",
  );
  await expect(sandbox.fs.copyToHost("/tmp/evil", at("target"))).rejects.toMatchObject({
    code: "FILE_NOT_DIRECTORY",
  });
  await said("rm -r /tmp/evil/link", "root");
  await sandbox.fs.copyToHost("/tmp/evil", at("target"));
  expect(readFileSync(at("target/evil/file"), "utf8")).toBe("theirs\n");
  expect([namesIn(at("outside")), readFileSync(at("outside/file"), "utf8")]).toEqual([
    ["file"],
    "mine",
  ]);
  expect(everything(at("target/evil"))[2]).toStartWith("/dir/file 100755 ");
}, 60_000);

test("a guest without room says so, and nothing of what did not fit is there", async () => {
  await said("mkdir /tmp/small && mount -t tmpfs -o size=4M small /tmp/small", "root");
  const full = { code: "FILE_NO_SPACE", hint: expect.stringContaining("guest") };
  const copying = sandbox.fs.copyFromHost(at("large"), "/tmp/small/large");
  await expect(copying).rejects.toMatchObject(full);
  const writer = sandbox.fs.writeStream("/tmp/small/stream").getWriter();
  writer.closed.catch(() => {});
  const write = async () => {
    for (;;) await writer.write(new Uint8Array(1 << 20));
  };
  await expect(write()).rejects.toMatchObject(full);
  expect(await sandbox.fs.list("/tmp/small")).toEqual([]);
  await sandbox.fs.write("/tmp/small/fits", "x");
  expect(await said("cat /tmp/small/fits")).toBe("x");
}, 60_000);

test("ten copies beside each other and a command do not disturb each other", async () => {
  const bodies = Array.from({ length: 10 }, () => new Uint8Array(randomBytes(700_000)));
  const command = said("echo still here");
  await Promise.all(bodies.map((body, index) => sandbox.fs.write(`/tmp/beside-${index}`, body)));
  const read = await Promise.all(bodies.map((_, index) => sandbox.fs.read(`/tmp/beside-${index}`)));
  expect(read.map(sha256)).toEqual(bodies.map(sha256));
  expect(await command).toBe("still here\n");
}, 60_000);

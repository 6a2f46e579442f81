import { afterAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { expandHome } from "../../lib/host/paths.ts";
import { readSecretFile } from "../../lib/host/secret_file.ts";
import { MAX_VALUE } from "../../lib/secret/value.ts";

const place = realpathSync(mkdtempSync(join(tmpdir(), "sbx-secret-file-")));
afterAll(() => rmSync(place, { recursive: true }));

function file(name: string, content: string | Uint8Array, mode = 0o600): string {
  const path = join(place, name);
  writeFileSync(path, content, { mode });
  chmodSync(path, mode);
  return path;
}

const opened = () => readdirSync("/proc/self/fd").length;

test.each([
  ["hunter2", "hunter2"],
  ["hunter2\n", "hunter2"],
  ["hunter2\r\n", "hunter2"],
  ["hunter2\n\n", "hunter2\n"], // refused where the value is made
  ["", ""],
  ["\ufeffhunter2", "hunter2"],
  ["v".repeat(MAX_VALUE) + "\r\n", "v".repeat(MAX_VALUE)],
])("of %j the one line end is dropped", async (content, text) => {
  expect(await readSecretFile("KEY", file("plain", content))).toEqual({ text, isExposed: false });
});

test("a file that others can read is read, and said to be so; one behind a link as well", async () => {
  for (const mode of [0o644, 0o640, 0o604, 0o444]) {
    const { isExposed } = await readSecretFile("KEY", file(`read-${mode}`, "hunter2", mode));
    expect(isExposed, mode.toString(8)).toBe(true);
  }
  symlinkSync(file("target", "hunter2"), join(place, "link"));
  expect(await readSecretFile("KEY", join(place, "link"))).toEqual({
    text: "hunter2",
    isExposed: false,
  });
});

test.each<[what: string, path: () => string, says: RegExp]>([
  ["others can write", () => file("world", "hunter2", 0o602), /can be written by others$/],
  ["its group can write", () => file("group", "hunter2", 0o620), /can be written by others$/],
  ["another user's", () => {
    const path = file("owned", "hunter2");
    chownSync(path, 65534, 65534);
    return path;
  }, /belongs to user 65534$/],
  ["in a directory that anybody changes", () => {
    const directory = join(place, "open");
    mkdirSync(directory);
    const path = file("open/key", "hunter2");
    chmodSync(directory, 0o777);
    return path;
  }, /is in a directory that others can write to$/],
  ["a directory", () => place, /is a directory$/],
  ["a device", () => "/dev/zero", /is no regular file$/],
  ["a pipe", () => {
    const path = join(place, "pipe");
    spawnSync("mkfifo", [path]);
    return path;
  }, /is a pipe$/],
  [
    "larger than a value",
    () => file("large", "v".repeat(MAX_VALUE + 3)),
    /holds more than a value$/,
  ],
  ["no text", () => file("bytes", Uint8Array.of(0x68, 0xff, 0x0a)), /is no text$/],
  ["missing", () => join(place, "missing"), /no such file or directory$/],
])("a file that is %s is refused, by name and never by content", async (_, path, says) => {
  const named = path();
  const before = opened();
  const failed = await readSecretFile("KEY", named).catch((error) => error);
  expect(failed).toMatchObject({ code: "SECRET_UNAVAILABLE" });
  expect(failed.message).toMatch(/^Cannot read secret KEY: /);
  expect(failed.message).toMatch(says);
  expect(failed.hint.length).toBeGreaterThan(0);
  expect(`${failed.message}${failed.hint}`).not.toContain("hunter2");
  expect(opened()).toBe(before);
});

test("a directory with the sticky bit, as /tmp is, holds files that others do not replace", async () => {
  const directory = join(place, "sticky");
  mkdirSync(directory);
  const path = file("sticky/key", "hunter2");
  chmodSync(directory, 0o1777);
  expect((await readSecretFile("KEY", path)).text).toBe("hunter2");
});

test("while finished files are renamed into its place, each reading is one of them", async () => {
  const path = file("turning", "0".repeat(9000));
  for (let turn = 1; turn <= 200; turn++) {
    const reading = readSecretFile("KEY", path);
    const fresh = file("fresh", String(turn % 10).repeat(9000));
    renameSync(fresh, path);
    expect((await reading).text).toMatch(/^(\d)\1{8999}$/);
    expect((await readSecretFile("KEY", path)).text).toBe(String(turn % 10).repeat(9000));
  }
});

test("a path that begins with ~/ is below the home directory, any other is as it is written", () => {
  expect(expandHome("~/.token")).toBe(join(homedir(), ".token"));
  for (const path of ["/~/x", "~x", "a/~/b", "./~/b"]) expect(expandHome(path)).toBe(path);
});

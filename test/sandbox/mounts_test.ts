import { afterAll, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join, relative } from "node:path";
import process from "node:process";
import { resolveMounts } from "../../lib/sandbox/mounts.ts";

const place = realpathSync(mkdtempSync(join(tmpdir(), "sbx mounts ü-")));
const data = join(place, "data");
mkdirSync(data);
symlinkSync(data, join(place, "link"));
writeFileSync(join(place, "file"), "");
afterAll(() => rmSync(place, { recursive: true }));

const mount = (host: string, guest: string, readOnly = false) => ({ host, guest, readOnly });

test("sources become absolute directories, links and home directories followed", async () => {
  const [plain, linked, beside, home] = await resolveMounts([
    mount(data, "/a/"),
    mount(join(place, "link"), "/b/../c", true),
    mount(relative(process.cwd(), data), "/d"),
    mount("~", "/home"),
  ]);
  expect(plain).toEqual(mount(data, "/a"));
  expect(linked).toEqual(mount(data, "/c", true));
  expect(beside).toEqual(mount(data, "/d"));
  expect(home).toEqual(mount(realpathSync(homedir()), "/home"));
});

test("a single file is told from a directory", async () => {
  const [file] = await resolveMounts([mount(join(place, "file"), "/etc/file", true)]);
  expect(file).toEqual({ ...mount(join(place, "file"), "/etc/file", true), file: true });
});

test("what cannot be mounted is refused by name", async () => {
  const refused = [
    [[mount(join(place, "none"), "/x")], "no such file or directory"],
    [[mount(join(place, "file"), "/x")], "a single file can only be mounted read-only"],
    [[mount("/dev/null", "/x", true)], "neither a directory nor a regular file"],
    [[mount(data, "/")], "the guest needs that place itself"],
    [[mount(data, "/x/../proc")], "the guest needs that place itself"],
    [[mount(data, "/dev/shm")], "the guest needs that place itself"],
    [[mount(data, "/x"), mount(place, "/x/")], "Cannot mount twice at /x"],
  ] as const;
  for (const [mounts, state] of refused) {
    await expect(resolveMounts(mounts)).rejects.toThrow(state);
  }
});

/**
 * Directories that are more than mounted: copies, of which nothing gets back, and those that nobody else
 * writes to.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld({ bare: true });
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** A small tree with one of each, among them names that the layer's options could trip over. */
function tree(name: string): string {
  const top = join(world.scratch, name);
  mkdirSync(join(top, "directory/inner"), { recursive: true });
  mkdirSync(join(top, "own"));
  writeFileSync(join(top, "directory/inner/file"), "here\n");
  writeFileSync(join(top, "file"), "here\n");
  writeFileSync(join(top, "removed"), "here\n");
  writeFileSync(join(top, "tool"), "#!/bin/sh\necho ran\n", { mode: 0o755 });
  linkSync(join(top, "file"), join(top, "second"));
  symlinkSync("file", join(top, "link"));
  chmodSync(top, 0o2775);
  return top;
}

/** All of a tree: each path with its mode, its length and the time of its last change. */
function stateOf(top: string): readonly string[] {
  return (readdirSync(top, { recursive: true }) as string[]).concat(".").sort().map((path) => {
    const { mode, size, mtimeMs, ctimeMs } = statSync(join(top, path));
    return [path, mode.toString(8), size, mtimeMs, ctimeMs].join(" ");
  });
}

const sh = (script: string, ...flags: readonly string[]) =>
  world.sbx(["run", "-q", "--no-net", ...flags, "--", "sh", "-c", script], { limit: 280 });

const CHANGES = [
  "cd '/a copy,of it'; stat -c %a .; cat file link directory/inner/file; ./tool",
  "echo guest >> file; echo guest > made; rm removed; chmod 600 tool; mkdir new; touch new/x",
  'python3 -c \'import os; os.rename("directory", "renamed")\'; cat renamed/inner/file file',
  "ls -1; touch own/inside; cat /plain/seen; echo guest > /plain/got",
].join("\n");

const STARTS: readonly (readonly [how: string, flags: readonly string[]])[] = [
  ["goes on from a template", []],
  ["boots", ["--no-template"]],
  ["has a disk", ["--disk", "1G"]],
];

test.each(STARTS)(
  "a copy is written to as any directory, and nothing of that gets here, where the guest %s",
  async (how, start) => {
    const name = how.replaceAll(" ", "-");
    const [top, plain] = [tree(name), join(world.scratch, `${name}-plain`)];
    mkdirSync(plain);
    writeFileSync(join(plain, "seen"), "plain\n");
    const before = stateOf(top);
    const mounts = ["-v", `${top}:/a copy,of it:copy`, "-v", `${plain}:/plain`];
    const { status, stdout, stderr } = await sh(CHANGES, ...start, ...mounts);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout.split("\n")).toEqual([
      ...["2775", "here", "here", "here", "ran", "here", "here", "guest"],
      ...["file", "link", "made", "new", "own", "renamed", "second", "tool", "plain", ""],
    ]);
    expect(stateOf(top)).toEqual(before);
    expect(readFileSync(join(plain, "got"), "utf8")).toBe("guest\n");
  },
  300_000,
);

test(
  "a copy lives as long as a kept disk, over what the directory has at the next start",
  async () => {
    const top = tree("kept");
    const sbx = (...args: readonly string[]) => world.sbx(args, { limit: 280 });
    const inside = (script: string) =>
      sbx("exec", "copied", "--", "sh", "-c", `cd /copy; ${script}`);
    const mount = ["-v", `${top}:/copy:copy`];
    expect(await sbx("create", "-q", "-n", "copied", "--no-net", "--disk", "1G", ...mount))
      .toMatchObject({ status: 0 });
    try {
      expect(await sbx("start", "copied")).toMatchObject({ status: 0 });
      expect(await inside("echo guest > file; rm removed; mv directory renamed"))
        .toMatchObject({ status: 0, stderr: "" });
      expect(await sbx("stop", "copied")).toMatchObject({ status: 0 });
      writeFileSync(join(top, "later"), "later\n");
      expect(await sbx("start", "copied")).toMatchObject({ status: 0 });
      expect(await inside("cat file later renamed/inner/file; ls -1")).toMatchObject({
        status: 0,
        stdout: "guest\nlater\nhere\nfile\nlater\nlink\nown\nrenamed\nsecond\ntool\n",
      });
    } finally {
      await sbx("rm", "-f", "copied");
    }
  },
  300_000,
);

test(
  "what a guest writes to a cached directory is here at once, and read-only is read-only",
  async () => {
    const [top, closed] = [tree("cached"), tree("closed")];
    const mounts = ["-v", `${top}:/open:cached`, "-v", `${closed}:/closed:ro,cached`];
    const { status, stdout } = await sh(
      "cat /open/file /closed/file; echo guest > /open/file; touch /closed/x || echo refused",
      ...mounts,
    );
    expect({ status, stdout }).toEqual({ status: 0, stdout: "here\nhere\nrefused\n" });
    expect(readFileSync(join(top, "file"), "utf8")).toBe("guest\n");
    expect(readdirSync(closed)).not.toContain("x");
  },
  300_000,
);

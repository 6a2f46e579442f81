/**
 * What sbx unpacked into the cache is what it executes later: anything else that stands there in its place is
 * noticed, whoever put it there, and never used.
 */
import { afterAll, beforeEach, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { run, type RunOptions } from "../support/process.ts";
import { SBX } from "../support/world.ts";

const place = mkdtempSync(join(tmpdir(), "sbx-cache-"));
afterAll(() => rmSync(place, { recursive: true, force: true }));

let cache = "";
let number = 0;
beforeEach(() => {
  cache = join(place, String(number++));
  mkdirSync(cache);
});

const env = () => ({ XDG_CACHE_HOME: cache });
const doctor = (options: RunOptions = {}) =>
  run([SBX, "doctor", "--no-boot", "--json"], { ...options, env: { ...env(), ...options.env } });
const guest = () =>
  run([SBX, "run", "--no-net", "--no-template", "--", "echo", "here"], { env: env() });
const assets = () => join(cache, "sbx/assets");
const asset = (name: string) =>
  join(
    assets(),
    readdirSync(assets()).find((each) => each.startsWith(name) && !each.endsWith(".mark")) ?? name,
  );

function component(stdout: string): { readonly state: string; readonly found: string } {
  return JSON.parse(stdout).findings.find(({ name }: { name: string }) => name === "components");
}

/** The same size, the same times, other bytes in the middle. */
function spoil(path: string): Uint8Array {
  const before = readFileSync(path);
  const { atime, mtime } = statSync(path);
  const middle = before.length >> 1;
  const other = before.map((byte, at) => at >= middle && at < middle + 16 ? byte ^ 0xff : byte);
  writeFileSync(path, other);
  utimesSync(path, atime, mtime);
  return before;
}

test.each(["netstack", "vmlinux", "initramfs"])(
  "a %s of the right size with other bytes is replaced, and that is told once",
  async (name) => {
    await doctor();
    const good = spoil(asset(name));
    const first = await guest();
    expect(first).toMatchObject({ status: 0, stdout: "here\n" });
    expect(first.stderr.match(new RegExp(`${name}.* was not what`, "g"))).toHaveLength(1);
    expect(readFileSync(asset(name)).equals(good)).toBe(true);
    expect((await guest()).stderr).not.toContain("was not what");
  },
);

test.each(["vmlinux", "initramfs"])(
  "a %s that was changed by somebody who knows the mark, too, runs no command",
  async (name) => {
    await doctor();
    spoil(asset(name));
    const { dev, ino, size, mtimeNs, ctimeNs } = statSync(asset(name), { bigint: true });
    writeFileSync(`${asset(name)}.mark`, [dev, ino, size, mtimeNs, ctimeNs].join(" "));
    const { status, stdout, stderr } = await guest();
    expect({ status, stdout }).toEqual({ status: 125, stdout: "" });
    expect(stderr).toMatch(/^sbx: cannot trust .*: somebody changed it/m);
    expect(stderr).toMatch(/^hint: .*run sbx again/m);
    expect(await guest()).toMatchObject({ status: 0, stdout: "here\n" });
  },
);

test("a program, a link or a file of others in netstack's place is never executed", async () => {
  await doctor();
  const path = asset("netstack");
  const { size } = statSync(path);
  const proof = join(cache, "executed");
  const script = `#!/bin/sh\ntouch ${proof}\n`;
  const planted = join(cache, "planted");
  writeFileSync(planted, script + "#".repeat(size - script.length), { mode: 0o755 });
  const plants: readonly (() => void)[] = [
    () => {
      writeFileSync(path, readFileSync(planted), { mode: 0o755 });
    },
    () => {
      rmSync(path);
      symlinkSync(planted, path);
    },
    () => chmodSync(path, 0o777),
    () => chownSync(path, 65_533, 65_533),
  ];
  for (const plant of plants) {
    plant();
    const { status, stderr } = await guest();
    expect({ status, stderr }).toEqual({
      status: 0,
      stderr: expect.stringContaining("was not what"),
    });
    expect(existsSync(proof)).toBe(false);
    const { mode, uid } = statSync(path);
    expect([mode & 0o777, uid]).toEqual([0o755, process.getuid?.() ?? -1]);
  }
});

test("a cache of somebody else, or in a place that is everybody's, is not used", async () => {
  mkdirSync(assets(), { recursive: true });
  chownSync(assets(), 65_533, 65_533);
  expect(await guest()).toMatchObject({
    status: 125,
    stdout: "",
    stderr: expect.stringMatching(
      /cannot use the cache .*: it belongs to user 65533\nhint: .*XDG_CACHE_HOME/,
    ),
  });
  chownSync(assets(), 0, 0);
  chmodSync(cache, 0o777);
  expect(await guest()).toMatchObject({
    status: 125,
    stderr: expect.stringMatching(/cannot use the cache .*: anybody can write to /),
  });
  chmodSync(cache, 0o1777);
  chmodSync(assets(), 0o777);
  expect(await guest()).toMatchObject({ status: 0 });
  expect(statSync(assets()).mode & 0o777).toBe(0o755);
});

test("several first runs at once all work, and leave each file once", async () => {
  const runs = await Promise.all(Array.from({ length: 5 }, () => doctor()));
  for (const { stdout, stderr } of runs) {
    expect({ ...component(stdout), stderr }).toMatchObject({ state: "ok", stderr: "" });
  }
  const names = readdirSync(assets()).map((name) => name.replace(/-[^.]*/, "")).sort();
  expect(names).toEqual(["initramfs", "initramfs.mark", "netstack", "vmlinux", "vmlinux.mark"]);
});

test("a full disk is said, and nothing half done stays on it", async () => {
  const script =
    `mount -t tmpfs -o size=16m none ${cache} && "$@"; status=$?; find ${cache} -type f; exit $status`;
  const { status, stdout, stderr } = await run(
    ["unshare", "-Urm", "sh", "-c", script, "sh", SBX, "run", "--no-net", "--", "true"],
    { env: env() },
  );
  expect(status).toBe(125);
  expect(stderr).toMatch(
    /^sbx: cannot unpack (?:netstack|vmlinux|initramfs) into .*: no space left on the device\nhint: free some space/m,
  );
  // Whole files that did fit may stay.
  const whole =
    /\/(?:(?:netstack|initramfs)-[0-9a-z]+(?:\.mark)?|kvm-probe\.bin|accelerator-[0-9a-f-]+\.json)$/;
  for (const path of stdout.split("\n").filter(Boolean)) expect(path).toMatch(whole);
});

test("what a killed run left half unpacked goes with a later one, and what is being unpacked stays", async () => {
  await doctor();
  const [dead, live] = ["vmlinux-abcdefgh.0123456789ab", "vmlinux-abcdefgh.ba9876543210"];
  for (const [name, minutes] of [[dead, 11], [live, 1]] as const) {
    writeFileSync(join(assets(), name), "half");
    const then = Date.now() / 1000 - minutes * 60;
    utimesSync(join(assets(), name), then, then);
  }
  await doctor();
  expect(readdirSync(assets())).not.toContain(dead);
  expect(readdirSync(assets())).toContain(live);
});

test("files that are in use stay, however long ago they were unpacked", async () => {
  await doctor();
  const before = readdirSync(assets());
  for (const name of before) utimesSync(join(assets(), name), 1000, 1000);
  expect(await guest()).toMatchObject({ status: 0 });
  expect(readdirSync(assets()).sort()).toEqual(before.sort());
});

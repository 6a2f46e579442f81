/**
 * A tarball of this build, as somebody else unpacks it. scripts/test-release does the same with those of a
 * release.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { HERE, nameOf } from "../../scripts/binary/target.ts";
import type { Release } from "../../scripts/packages/release.ts";
import { tarballName, writeTarball } from "../../scripts/packages/tarball.ts";
import { ordinaryUser } from "../support/ordinary_user.ts";
import { run } from "../support/process.ts";
import { SBX } from "../support/world.ts";

const AS_NOBODY = ordinaryUser(65534);
const RELEASE: Release = {
  root: process.cwd(),
  version: "1.2.3",
  commit: "",
  time: 1_700_000_000,
  notes: "",
};

const scratch = mkdtempSync(join(tmpdir(), "sbx-tarball-"));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));
const home = join(scratch, "home");
const directory = join(home, `sbx-1.2.3-${nameOf(HERE)}`);

beforeAll(async () => {
  mkdirSync(home);
  chmodSync(scratch, 0o755);
  if (process.getuid?.() === 0) chownSync(home, 65534, 65534);
  await writeTarball(RELEASE, HERE, { binary: SBX, work: scratch, out: scratch }, ["gz"]);
  const file = join(scratch, tarballName(RELEASE, HERE));
  const argv = [...AS_NOBODY, "tar", "-xzf", file, "-C", home];
  expect((await run(argv, { limit: 300 })).status).toBe(0);
}, 600_000);

test("it has the binary, what shells and man read, the licences, and the pages", () => {
  const names = readdirSync(directory, { recursive: true, encoding: "utf8" });
  const wanted = ["sbx", "LICENSE", "NOTICES", "README.md", "docs/cli.md", "man/sbx-run.1"];
  const shells = ["sbx.bash", "_sbx", "sbx.fish", "sbx.ps1"].map((name) => `completions/${name}`);
  expect([...wanted, ...shells].filter((name) => !names.includes(name))).toEqual([]);
});

test("the driver in it becomes Lima's, whatever links to it", async () => {
  const link = join(scratch, "lima-driver-sbx");
  symlinkSync(join(directory, "lima-driver-sbx"), link);
  const env = { HOME: home, XDG_CACHE_HOME: `${home}/cache`, XDG_DATA_HOME: `${home}/data` };
  const { status, stderr } = await run([...AS_NOBODY, link], { cwd: "/", env, limit: 100 });
  expect(status).toBe(1);
  expect(stderr).toStartWith("lima-driver-sbx: cannot serve: no --inst-dir was given");
}, 110_000);

test("unpacked by another user, it runs its first command", async () => {
  const argv = [...AS_NOBODY, "./sbx", "run", "-q", "--no-net", "--", "uname", "-s"];
  const env = { HOME: home, XDG_CACHE_HOME: `${home}/cache`, XDG_DATA_HOME: `${home}/data` };
  const { status, stdout, stderr } = await run(argv, { cwd: directory, env, limit: 300 });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "Linux\n", stderr: "" });
}, 310_000);

/**
 * The Debian package in a Debian of its own: installed with what it depends on, used, and purged without a
 * trace. Run by scripts/test-release as root, after a release was made.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, copyFileSync, globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { run } from "../support/process.ts";

const [file = ""] = globSync(
  `dist/release/sbx_*_${process.arch === "x64" ? "amd64" : "arm64"}.deb`,
);
const tree = mkdtempSync(join(tmpdir(), "sbx-debian-"));
chmodSync(tree, 0o755); // it is the root of users, too
afterAll(() => rmSync(tree, { recursive: true, force: true }));

/** Runs a line in the tree, as root, in namespaces that end with it. */
async function inside(line: string, limit = 900) {
  const argv = [
    "unshare",
    "--mount",
    "--pid",
    "--fork",
    `--mount-proc=${tree}/proc`,
    "chroot",
    tree,
  ];
  return await run([...argv, "/bin/sh", "-ec", line], {
    env: {
      HOME: "/root",
      PATH: "/usr/sbin:/usr/bin:/sbin:/bin",
      DEBIAN_FRONTEND: "noninteractive",
    },
    limit,
  });
}

/** Every file with its mode and size, but for what apt and dpkg keep for themselves. */
async function files(): Promise<readonly string[]> {
  const own = ["proc", "var/cache", "var/lib/apt", "var/lib/dpkg", "var/log", "tmp", "dev"];
  const pruned = own.flatMap((path) => ["-path", `./${path}`, "-prune", "-o"]);
  const argv = ["find", ".", ...pruned, "-printf", "%M %s %p\\n"];
  const { stdout } = await run(argv, { cwd: tree });
  // A directory's size tells what it once held.
  return stdout.split("\n").map((line) => line.replace(/^(d\S+) \d+/, "$1")).sort();
}

beforeAll(async () => {
  expect(file).not.toBe("");
  const made = await run(["debootstrap", "--variant=minbase", "bookworm", tree], { limit: 900 });
  expect(made.status).toBe(0);
  copyFileSync("/etc/resolv.conf", join(tree, "etc/resolv.conf"));
  for (const each of globSync("/etc/apt/{apt.conf.d,sources.list.d}/*")) {
    copyFileSync(each, tree + each);
  }
  copyFileSync(file, join(tree, "tmp/sbx.deb"));
  expect((await inside("apt-get update -q")).status).toBe(0);
}, 1_800_000);

test("it is installed, runs its first command, and leaves nothing when it is purged", async () => {
  const before = await files();
  const installed = await inside("apt-get install -qy --no-install-recommends /tmp/sbx.deb", 1800);
  expect([installed.status, installed.stderr]).toEqual([0, expect.any(String)]);
  const verified = await inside("dpkg --verify sbx; command -v sbx; sbx version");
  expect(verified.stdout).toMatch(/^\/usr\/bin\/sbx\nsbx +\d/);
  const shell = await inside(
    "[ -s /usr/share/bash-completion/completions/sbx ] && sbx completion bash",
  );
  expect(shell.stdout).toContain("complete -F _sbx sbx");
  const used = await inside(
    "export XDG_CACHE_HOME=/tmp/c; sbx run -q --no-net -- echo from the guest",
  );
  expect([used.status, used.stderr, used.stdout]).toEqual([0, "", "from the guest\n"]);
  const purged = await inside("apt-get purge -qy sbx && apt-get autoremove --purge -qy");
  expect(purged.status).toBe(0);
  const after = await files();
  expect(after.filter((line) => /sbx/.test(line))).toEqual([]);
  // What it depended on leaves as little as it may: caches that libraries are looked up by.
  const left = after.filter((line) => !before.includes(line));
  expect(
    left.filter((line) => !/\.\/etc\/ld\.so\.cache$|__pycache__|\.\/(?:var|run|etc)\//.test(line)),
  ).toEqual([]);
}, 3_600_000);

test("lintian has nothing to say of either package", async () => {
  for (const deb of globSync("dist/release/*.deb")) {
    const { status, stdout } = await run(["lintian", "--fail-on", "warning", deb], { limit: 600 });
    expect({ deb, status, stdout }).toEqual({ deb, status: 0, stdout: "" });
  }
}, 1_200_000);

/**
 * Snapshots and forks, as somebody who types meets them: taken of a guest that writes, begun with, refused, given up,
 * killed, and out of others' reach.
 */
import { afterAll, afterEach, beforeAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { ordinaryUser } from "../support/ordinary_user.ts";
import { run, type RunOptions, start, until } from "../support/process.ts";
import type { SnapshotInfo } from "../../lib/mod.ts";
import { ROOT, SBX } from "../support/world.ts";

let scratch: string;
let env: Record<string, string>;
beforeAll(() => {
  scratch = mkdtempSync(join(tmpdir(), "sbx-snapshots-"));
  chmodSync(scratch, 0o755);
  env = { XDG_STATE_HOME: join(scratch, "state"), XDG_CACHE_HOME: join(ROOT, ".cache/test") };
});
const sbx = (argv: readonly string[], options: RunOptions = {}) =>
  run([SBX, ...argv], { ...options, env: { ...env, ...options.env } });
/** What copies of sandboxes that run say, of which none here was made for more. */
const DISK_ALONE =
  /^sbx: (?:snapshot \S+|the fork) has the disk alone: the sandbox was not created with --savable\n/;

const done = async (...argv: readonly string[]): Promise<string> => {
  const { status, stdout, stderr } = await sbx(argv);
  expect([argv, status, stderr.replace(DISK_ALONE, "")]).toEqual([argv, 0, ""]);
  return stdout;
};
afterEach(async () => {
  const names = (await done("ls", "-aq")).split("\n").filter((name) => name !== "");
  if (names.length > 0) await done("rm", "--force", ...names);
  const tags = (await done("snapshot", "ls", "-q")).split("\n").filter((tag) => tag !== "");
  if (tags.length > 0) await done("snapshot", "rm", ...tags);
});
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

const state = (...names: readonly string[]) => join(env.XDG_STATE_HOME ?? "", "sbx", ...names);

async function started(name: string, ...options: readonly string[]): Promise<void> {
  await done(
    "run",
    "-d",
    "-q",
    "--no-net",
    "-m",
    "256M",
    "-n",
    name,
    ...options,
    "--",
    "sleep",
    "1d",
  );
}

/** Says how far it has come in two files, of which the second is never ahead of the first. */
const WRITER = `
import os
with open("/root/first", "wb") as first, open("/root/second", "wb") as second:
    for number in range(10**9):
        for file in (first, second):
            os.pwrite(file.fileno(), b"%012d" % number, 0)
        os.makedirs(f"/root/tree/{number}")
        os.rename(f"/root/tree/{number}", f"/root/tree/other-{number % 100}-{number}")
`;

test("a snapshot has the files as one moment had them, and the guest goes on", async () => {
  await started("dev", "--disk", "512M");
  await done("exec", "-d", "dev", "--", "python3", "-c", WRITER);
  const writes = async () =>
    Number((await sbx(["exec", "dev", "--", "cat", "/root/first"])).stdout);
  await until("the writer", async () => await writes() > 10);
  expect(await Promise.all([done("snapshot", "dev", "one"), done("snapshot", "dev", "two")]))
    .toEqual(["one\n", "two\n"]);
  const after = await writes();
  await until("it to go on", async () => await writes() > after);
  for (const tag of ["one", "two"]) {
    const disk = state("snapshots", tag, "disk");
    // Nothing is left to be recovered: the file system was at rest.
    expect(execFileSync("/sbin/e2fsck", ["-fn", disk], { encoding: "utf8" })).toContain("Pass 5");
    expect(statSync(disk).blocks * 512).toBeLessThan(128 * 2 ** 20);
    expect([statSync(disk).mode & 0o777, statSync(join(disk, "..")).mode & 0o777])
      .toEqual([0o600, 0o700]);
  }
  const [one] = JSON.parse(await done("snapshot", "ls", "--json"));
  expect(one).toMatchObject({ tag: "one", sandbox: "dev", bytes: 512 * 2 ** 20 });
  expect(await done("snapshot", "ls")).toMatch(/^one +dev +\d+s ago +512M +\d+M +disk$/m);
  // A guest that begins with it changes nothing of it, also when two do at once.
  const line = "cat /root/first; echo; cat /root/second; echo; echo mine > /root/first; hostname";
  const begun = await Promise.all(
    ["a", "b"].map((name) =>
      done("run", "-q", "-n", name, "-m", "256M", "--from", "one", "--", "sh", "-c", line)
    ),
  );
  const [first = "", second = "", name] = (begun[0] ?? "").split("\n");
  expect([Number(first) - Number(second) <= 1, name]).toEqual([true, "a"]);
  expect(begun[1]).toBe(`${first}\n${second}\nb\n`);
  expect(readdirSync(state()).toSorted()).toEqual(["sandboxes", "snapshots"]);
}, 300_000);

test("a fork has the files, and each goes its own way from there", async () => {
  await started("dev", "--disk", "256M", "-e", "A=own");
  await done("exec", "dev", "--", "sh", "-c", "echo both > /root/note");
  expect(await done("fork", "dev", "try")).toBe("try\n");
  await done("exec", "dev", "--", "sh", "-c", "echo original > /root/note");
  expect(
    await done(
      "exec",
      "try",
      "--",
      "sh",
      "-c",
      "cat /root/note; echo $A; hostname; pgrep -x sleep | wc -l",
    ),
  )
    .toBe("both\nown\ntry\n1\n");
  await done("stop", "dev");
  const found = (await done("fork", "--no-start", "dev")).trim();
  expect(JSON.parse(await done("inspect", found))).toMatchObject({ status: "created" });
  await done("rm", "dev");
  await done("start", found);
  expect(await done("exec", found, "--", "cat", "/root/note")).toBe("original\n");
  expect(await done("exec", "try", "--", "cat", "/root/note")).toBe("both\n");
}, 300_000);

test("one that is kept begins with a snapshot, and stays what it became", async () => {
  await started("dev", "--disk", "256M");
  await done("exec", "dev", "--", "sh", "-c", "echo begun > /root/note");
  await done("snapshot", "dev", "built");
  await done("rm", "--force", "dev");
  await done("create", "-q", "-n", "next", "-m", "256M", "--from", "built", "--disk", "1G");
  await done("snapshot", "rm", "built");
  await done("start", "next");
  const line =
    "cat /root/note; echo more >> /root/note; test $(df -B1M --output=size / | tail -n 1) -gt 900 && echo large";
  expect(await done("exec", "next", "--", "sh", "-c", line)).toBe("begun\nlarge\n");
  await done("stop", "next");
  await done("snapshot", "next", "later"); // of one that does not run
  await done("start", "next");
  expect(await done("exec", "next", "--", "cat", "/root/note")).toBe("begun\nmore\n");
  expect(await done("run", "-q", "-m", "256M", "--from", "later", "--", "cat", "/root/note"))
    .toBe("begun\nmore\n");
}, 300_000);

test("what cannot be done is said, with what can, and nothing is left of it", async () => {
  await started("fleeting");
  await done("create", "-q", "--no-net", "-n", "fresh", "--disk", "256M");
  const rows: readonly (readonly [argv: readonly string[], status: number, words: string])[] = [
    [["snapshot", "fleeting", "tag"], 125, "it has no disk"],
    [["fork", "fleeting"], 125, "it has no disk"],
    [["snapshot", "fresh", "tag"], 125, "it was never started"],
    [["snapshot", "none", "tag"], 125, "there is none"],
    [["snapshot", "fresh", "../tag"], 2, "not the tag of a snapshot"],
    [["snapshot", "fresh"], 2, "missing required argument 'tag'"],
    [["snapshot"], 2, "missing required argument 'sandbox'"],
    [["snapshot", "rm", "none"], 125, "there is none"],
    [["run", "--from", "none", "--", "true"], 125, "there is none"],
    [["create", "--from", "none"], 125, "there is none"],
    [["run", "--from", "a/b", "--", "true"], 2, "not the tag of a snapshot"],
    [["fork", "fresh", "fleeting"], 125, "there is one"],
    [["fork", "fresh", "a/b"], 2, "not the name of a sandbox"],
  ];
  for (const [argv, status, words] of rows) {
    const result = await sbx(argv);
    expect([argv, result.status, result.stdout]).toEqual([argv, status, ""]);
    expect(result.stderr).toContain(words);
    expect(result.stderr).toContain("hint: ");
  }
  expect(readdirSync(state("sandboxes")).toSorted()).toEqual(["fleeting", "fresh"]);
  expect(existsSync(state("snapshots")) ? readdirSync(state("snapshots")) : []).toEqual([]);
}, 120_000);

test(
  "a copy without the memory says why, and there is none where the memory is wanted",
  async () => {
    await started("dev", "--disk", "256M");
    const said = "has the disk alone: the sandbox was not created with --savable\n";
    expect((await sbx(["snapshot", "dev", "built"])).stderr).toBe(`sbx: snapshot built ${said}`);
    expect((await sbx(["fork", "--no-start", "dev", "try"])).stderr).toBe(`sbx: the fork ${said}`);
    const wanted = await sbx(["snapshot", "--memory", "dev", "other"]);
    expect([wanted.status, wanted.stdout]).toEqual([125, ""]);
    expect(wanted.stderr).toStartWith(
      "sbx: cannot keep the memory of sandbox dev: the sandbox was not created with --savable\nhint: ",
    );
    await done("stop", "dev");
    expect(await done("snapshot", "dev", "stopped")).toBe("stopped\n"); // which has no memory to speak of
    expect((await sbx(["snapshot", "--memory", "dev", "other"])).stderr).toContain(
      "it does not run",
    );
    expect(
      JSON.parse(await done("snapshot", "ls", "--json")).map((each: SnapshotInfo) => [
        each.tag,
        each.memory,
      ]),
    ).toEqual([["built", false], ["stopped", false]]);
  },
  120_000,
);

test("a sandbox that was to be savable says where it is not, and its copies do", async () => {
  await done("create", "-q", "--no-net", "-m", "256M", "-n", "dev", "--disk", "256M", "--savable");
  const { status, stderr } = await sbx(["start", "dev"]);
  expect(status).toBe(0);
  // This QEMU or its virtiofsd is too old; scripts/test-debian13 has those that are not.
  expect(stderr).toContain("the guest's memory cannot be saved: ");
  const reason = /cannot be saved: (.*)/.exec(stderr)?.[1] ?? "";
  await done("exec", "dev", "--", "sh", "-c", "echo kept > /root/note");
  const copy = await sbx(["snapshot", "dev", "built"]);
  expect([copy.status, copy.stdout]).toEqual([0, "built\n"]);
  expect(copy.stderr).toBe(
    `sbx: snapshot built has the disk alone: ${reason}\n`,
  );
  expect(await done("run", "-q", "-m", "256M", "--from", "built", "--", "cat", "/root/note"))
    .toBe("kept\n");
}, 120_000);

/** So much that to copy it takes a while. */
async function writeMuch(): Promise<void> {
  const into = ["if=/dev/urandom", "of=/root/much", "bs=1M", "count=300", "status=none"];
  await done("exec", "dev", "--", "dd", ...into);
}

test("whoever gives up, or is killed, leaves no snapshot, and the guest goes on", async () => {
  await started("dev", "--disk", "2G");
  await writeMuch();
  const parts = () => existsSync(state("snapshots")) ? readdirSync(state("snapshots")) : [];
  for (const signal of ["SIGINT", "SIGKILL"] as const) {
    const taking = start([SBX, "snapshot", "dev", "never"], { env });
    await until("its beginning", () => parts().some((name) => name.startsWith(".new-")));
    taking.kill(signal);
    const { status } = await taking.ended;
    expect([signal, status]).toEqual([signal, signal === "SIGINT" ? 130 : 137]);
    expect([
      signal,
      await done("exec", "dev", "--", "sh", "-c", "echo on > /root/note; cat /root/note"),
    ])
      .toEqual([signal, "on\n"]);
    if (signal === "SIGINT") expect(parts()).toEqual([]);
  }
  // What the killed one left is nobody's snapshot, and in nobody's way.
  expect(await done("snapshot", "ls", "-q")).toBe("");
  expect(await done("snapshot", "dev", "never")).toBe("never\n");
  // sbx takes it for abandoned after a minute; the next tests look at what they leave themselves.
  for (const part of parts().filter((name) => name.startsWith(".new-"))) {
    rmSync(state("snapshots", part), { recursive: true });
  }
}, 300_000);

test("a guest that is ended meanwhile has no snapshot, and keeps what it had written", async () => {
  await started("dev", "--disk", "2G");
  await done(
    ...["exec", "dev", "--", "sh", "-c"],
    "echo noted > /root/note; dd if=/dev/urandom of=/root/much bs=1M count=300 conv=fsync status=none",
  );
  const taking = start([SBX, "snapshot", "dev", "never"], { env });
  const isBegun = () => readdirSync(state("snapshots")).some((name) => name.startsWith(".new-"));
  await until("its beginning", () => existsSync(state("snapshots")) && isBegun());
  await until("the copy", () => {
    const [part = ""] = readdirSync(state("snapshots"));
    return existsSync(state("snapshots", part, "disk"));
  });
  await done("kill", "dev");
  const { status, stdout, stderr } = await taking.ended;
  expect([status, stdout, stderr]).toEqual([125, "", expect.stringContaining("hint: ")]);
  expect(readdirSync(state("snapshots"))).toEqual([]);
  await done("start", "dev");
  expect(await done("exec", "dev", "--", "cat", "/root/note")).toBe("noted\n");
}, 300_000);

test.if(process.getuid?.() === 0)(
  "where there is no room for a copy nobody begins one",
  async () => {
    const small = join(scratch, "small");
    mkdirSync(small);
    // In a namespace of its own, a file system of so many bytes; what holds it goes with it.
    const script = `set -e
mount -t tmpfs -o size=160M none "$0"
export XDG_STATE_HOME="$0"
sbx() { "$SBX" "$@"; }
sbx run -d -q --no-net -m 256M -n dev --disk 256M -- sleep 1d
sbx exec dev -- dd if=/dev/urandom of=/root/much bs=1M count=90 conv=fsync status=none
for argv in "snapshot dev tag" "fork dev other"; do
  if sbx $argv; then echo "done: $argv"; fi
done
sbx exec dev -- sh -c 'echo on > /root/note; sync; cat /root/note'
ls -A "$0/sbx/sandboxes" "$0/sbx/snapshots"
sbx rm -f dev`;
    const { status, stdout, stderr } = await run(["unshare", "-m", "sh", "-c", script, small], {
      env: { ...env, SBX },
      limit: 200,
    });
    expect(
      stderr.match(/cannot copy a disk to .*: it takes \d+ MiB, and \d+ MiB are free/g)?.length,
    )
      .toBe(2);
    expect(stderr).toContain("hint: free some space there");
    expect(stdout).toBe(
      `dev\non\n${small}/sbx/sandboxes:\ndev\n\n${small}/sbx/snapshots:\ndev\n`,
    );
    expect(status).toBe(0);
  },
  300_000,
);

test.if(process.getuid?.() === 0)(
  "another user neither sees nor uses nor removes them",
  async () => {
    await started("mine", "--disk", "256M");
    await done("snapshot", "mine", "built");
    const as = ordinaryUser(65534);
    const other = join(scratch, "other");
    mkdirSync(other);
    chownSync(other, 65_534, 65_534);
    const home = state("snapshots", "built");
    const tried = (argv: readonly string[], where: string) =>
      run([...as, ...argv], {
        env: { ...env, HOME: other, XDG_STATE_HOME: where, XDG_CACHE_HOME: other },
      });
    // In a place of his own he has none; in mine, he has no business.
    expect((await tried([SBX, "snapshot", "ls"], other)).stderr).toContain("no snapshot is kept");
    for (
      const argv of [["snapshot", "ls"], ["snapshot", "rm", "built"], ["snapshot", "mine", "his"], [
        "create",
        "--from",
        "built",
      ], ["fork", "mine"]]
    ) {
      const { status, stdout } = await tried([SBX, ...argv], env.XDG_STATE_HOME ?? "");
      expect([argv, status === 0, stdout]).toEqual([argv, false, ""]);
    }
    expect((await tried(["cat", join(home, "disk")], other)).status).toBe(1);
    // Also not where he could put it, for me to begin with.
    chownSync(home, 65_534, 65_534);
    const refused = await sbx(["run", "-q", "--from", "built", "--", "true"]);
    expect([refused.status, refused.stderr]).toEqual([
      125,
      expect.stringContaining("belongs to user"),
    ]);
    chownSync(home, 0, 0);
    chownSync(join(home, "disk"), 65_534, 65_534);
    expect((await sbx(["run", "-q", "--from", "built", "--", "true"])).stderr)
      .toContain("belongs to user 65534");
    chownSync(join(home, "disk"), 0, 0);
    expect(await done("run", "-q", "-m", "256M", "--from", "built", "--", "echo", "hi")).toBe(
      "hi\n",
    );
  },
  300_000,
);

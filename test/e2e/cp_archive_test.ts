/** `sbx cp` with `-` for an end: archives of tar on the standard streams, whoever made them and whoever packs. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run, start, until } from "../support/process.ts";
import { ROOT, SBX } from "../support/world.ts";

const scratch = mkdtempSync(join(tmpdir(), "sbx-archives-"));
const env = { XDG_STATE_HOME: join(scratch, "state"), XDG_CACHE_HOME: join(ROOT, ".cache/test") };
const sbx = (args: readonly string[], stdin: string | Uint8Array = "") =>
  run([SBX, ...args], { env, stdin });
const inGuest = async (script: string) =>
  (await sbx(["exec", "tars", "--", "sh", "-c", script])).stdout;
const listed = async (archive: Uint8Array) =>
  (await run(["tar", "-tv", "--quoting-style=literal"], { stdin: archive })).stdout;
const shell = (script: string) => run(["sh", "-c", script, SBX], { env });

beforeAll(async () => {
  await run(["python3", join(ROOT, "test/support/archives.py"), scratch]);
  const argv = ["run", "-d", "-q", "--no-net", "--memory", "256", "-n", "tars", "--"];
  expect(await sbx([...argv, "sleep", "100000"])).toMatchObject({ status: 0, stderr: "" });
}, 120_000);
afterAll(async () => {
  await sbx(["rm", "--force", "tars"]);
  rmSync(scratch, { recursive: true, force: true });
});

async function refused(args: readonly string[], stdin: Uint8Array | string, said: RegExp) {
  const answer = await sbx(args, stdin);
  expect(answer).toMatchObject({ status: 125, stdout: "" });
  expect(answer.stderr).toMatch(said);
}

test("a tree goes in and comes out, under its name or without one", async () => {
  mkdirSync(join(scratch, "in/deep"), { recursive: true });
  writeFileSync(join(scratch, "in/deep/ü"), "of here", { mode: 0o640 });
  const { bytes } = await run(["tar", "-c", "-C", scratch, "in"]);
  expect(await sbx(["cp", "-", "tars:/root/"], bytes))
    .toMatchObject({ status: 0, stdout: "", stderr: "" });
  const whole = await sbx(["cp", "tars:/root/in", "-"]);
  expect(await listed(whole.bytes)).toMatch(/^-rw-r----- root\/root +7 .* in\/deep\/ü$/m);
  for (const path of ["in/.", "in/deep/.."]) {
    const content = await sbx(["cp", `tars:/root/${path}`, "-"]);
    expect(await listed(content.bytes)).toMatch(/ \.\/deep\/ü$/m);
  }
  const file = await sbx(["cp", "tars:/root/in/deep/ü", "-"]);
  expect(await listed(file.bytes)).toMatch(/ 7 \S+ \S+ ü\n$/);
}, 60_000);

test("who unpacks with --user writes where that user may, and what belongs to it", async () => {
  const archive = readFileSync(join(scratch, "long"));
  await inGuest("install -d -o nobody /tmp/nobody");
  expect(await sbx(["cp", "--user", "nobody", "-", "tars:/tmp/nobody"], archive))
    .toMatchObject({ status: 0, stderr: "" });
  expect(await inGuest("stat -c %U /tmp/nobody/d*")).toBe("nobody\n");
  await refused(["cp", "--user", "nobody", "-", "tars:/root"], archive, /[Pp]ermission denied/);
}, 60_000);

describe("an archive of a stranger", () => {
  const rows: Readonly<Record<string, { readonly said: RegExp; readonly isTold?: true }>> = {
    "climbing": { said: /climbed: Member name contains '\.\.'"$/m },
    "absolute": { said: /Removing leading `\/' from member names/, isTold: true },
    "absolute-and-climbing": { said: /Member name contains '\.\.'"$/m },
    "link-to-root": { said: /l\/linked: Cannot open: Not a directory/ },
    "link-that-climbs": { said: /l\/linked: Cannot open: Not a directory/ },
    "hard-link-out": { said: /Cannot hard link/ },
    "truncated": { said: /Unexpected EOF in archive/ },
    "huge": { said: /Unexpected EOF in archive/ },
    "words": { said: /Member name contains '\.\.'"$/m },
  };
  test.each(Object.keys(rows))(
    "that is %s leaves nothing outside of the directory",
    async (name) => {
      const row = rows[name];
      await inGuest(`mkdir -p /srv/${name}/into`);
      const outside =
        `find / -xdev -not -path '/proc/*' -not -path '/srv/${name}/into*' -newer /srv/${name}` +
        " -type f -not -path '/run/*' -not -path '/dev/*'";
      const { status, stdout, stderr } = await sbx(
        ["cp", "-", `tars:/srv/${name}/into`],
        readFileSync(join(scratch, name)),
      );
      expect([status, stdout]).toEqual([row?.isTold ? 0 : 125, ""]);
      expect(stderr).toMatch(row?.said ?? /never/);
      expect(stderr.replaceAll("\n", "")).not.toMatch(/\p{Cc}/u);
      expect(await inGuest(outside)).toBe("");
    },
    60_000,
  );

  test(
    "has its long names, devices and modes in the guest, and belongs to who unpacks",
    async () => {
      await inGuest("mkdir -p /srv/whole");
      for (const name of ["long", "wide", "device", "setuid"]) {
        expect(await sbx(["cp", "-", "tars:/srv/whole"], readFileSync(join(scratch, name))))
          .toMatchObject({ status: 0, stderr: "" });
      }
      expect(
        await inGuest(
          "cd /srv/whole; cat d*/*/*/*/*/*/*/*/*/*/f ü*/*/*/*/*/*/*/*/*/*/f; echo; stat -c '%F %a %u' null setuid",
        ),
      )
        .toBe("longwide\ncharacter special file 666 0\nregular file 4755 0\n");
    },
    60_000,
  );
});

describe("what is refused", () => {
  test("a path that is not there, or is no directory, before tar is asked", async () => {
    const bytes = readFileSync(join(scratch, "long"));
    const none = /^sbx: cannot \S+ \/root\/none in the guest: no such file or directory$/m;
    await refused(["cp", "tars:/root/none", "-"], "", none);
    await refused(["cp", "-", "tars:/root/none"], bytes, none);
    await refused(
      ["cp", "-", "tars:/etc/passwd"],
      bytes,
      /: a file is there\nhint: an archive is unpacked in a directory$/m,
    );
    await refused(["cp", "-", "tars:/root"], "no archive", /does not look like a tar archive"$/m);
  }, 60_000);

  test("a stream that no archive can go by", async () => {
    const file = join(scratch, "at a terminal");
    const at = (script: string) =>
      run(["script", "-qec", `${script}; echo status $?`, "/dev/null"], { env });
    const out = await at(`'${SBX}' cp 'tars:/root/a b' -`);
    expect(out.stdout).toMatch(
      /standard output is a terminal[^]*sbx cp 'tars:\/root\/a b' - > archive.tar\r\nstatus 2/,
    );
    const typed = await at(`'${SBX}' cp - tars:/root 2>'${file}' >/dev/null`);
    expect(typed.stdout).toContain("status 2");
    expect(readFileSync(file, "utf8")).toMatch(
      /standard input is a terminal\nhint: .*sbx cp - tars:\/root </,
    );
    for (
      const [words, status, said] of [
        ["cp tars:/etc - >&-", 2, "standard output is closed"],
        ["cp - tars:/root <&-", 2, "standard input is closed"],
        ["cp - tars:/root </", 125, "cannot read standard input: is a directory"],
        ["cp tars:/etc - >/dev/full", 125, "no space left on the device"],
      ] as const
    ) {
      const answer = await shell(`"$0" ${words}`);
      expect([words, answer.status, answer.stderr]).toEqual([
        words,
        status,
        expect.stringContaining(said),
      ]);
    }
    // Who had enough of it is no failure.
    expect(await shell('{ "$0" cp tars:/usr/bin -; echo $? >&2; } | head -c 100 | wc -c'))
      .toMatchObject({ stdout: "100\n", stderr: "0\n" });
  }, 60_000);

  test(
    "what the guest's tar says cannot tell the terminal anything, nor hold up a signal",
    async () => {
      const program = (lines: string) =>
        sbx([
          "exec",
          "-i",
          "tars",
          "--",
          "sh",
          "-c",
          "cat >/usr/local/bin/tar; chmod 755 /usr/local/bin/tar",
        ], lines);
      await program("#!/bin/sh\nprintf '\\033]0;evil\\007' >&2\nexit 1\n");
      const said = await sbx(["cp", "tars:/root", "-"]);
      expect([said.status, /\p{Cc}/u.test(said.stderr.replaceAll("\n", ""))]).toEqual([125, false]);
      await program("#!/bin/sh\nyes noise | head -c 500000 >&2\nexec sleep 1001\n");
      const noisy = start([SBX, "cp", "tars:/root", "-"], { env });
      await until("the noise", async () => await inGuest("pgrep -fx 'sleep 1001'") !== "");
      await program("#!/bin/sh\ntrap '' TERM INT PIPE\necho begun\nsleep 1002\n");
      const stuck = start([SBX, "cp", "tars:/root", "-"], { env });
      await until("the archive's begin", () => stuck.stdout() !== "");
      for (const each of [noisy, stuck]) {
        each.kill("SIGINT");
        expect(await each.ended).toMatchObject({ status: 130, stderr: "" });
      }
      await inGuest("rm /usr/local/bin/tar");
      await inGuest("mv /usr/bin/tar /usr/bin/tar.away");
      await refused(
        ["cp", "tars:/root", "-"],
        "",
        /^sbx: cannot copy \/root: there is no tar in the sandbox\nhint: /,
      );
      await inGuest("mv /usr/bin/tar.away /usr/bin/tar");
    },
    60_000,
  );
});

/**
 * What a guest changed in a copy, shown and taken over: `sbx run --diff --apply`, `sbx diff` and `sbx apply`, under
 * policy none, with a guest that does its worst.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { openWorld, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld({ bare: true });
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** A small project. */
function project(name: string): string {
  const top = join(world.scratch, name);
  mkdirSync(join(top, "src/inner"), { recursive: true });
  writeFileSync(join(top, "src/main"), "one\ntwo\nthree\n");
  writeFileSync(join(top, "src/inner/file"), "here\n");
  writeFileSync(join(top, "removed"), "here\n");
  writeFileSync(join(top, "tool"), "#!/bin/sh\n", { mode: 0o644 });
  symlinkSync("src/main", join(top, "link"));
  return top;
}

/** All of a tree, a line for each path. */
function stateOf(top: string): string[] {
  return (readdirSync(top, { recursive: true }) as string[]).sort().map((path) => {
    const info = lstatSync(join(top, path));
    const mode = (info.mode & 0o7777).toString(8);
    if (info.isSymbolicLink()) return `${path} → ${readlinkSync(join(top, path))}`;
    return info.isDirectory()
      ? `${path}/ ${mode}`
      : `${path} ${mode} ${readFileSync(join(top, path), "utf8")}`;
  });
}

const sbx = (...args: readonly string[]) => world.sbx(args, { limit: 280 });
const sh = (script: string, top: string, ...flags: readonly string[]) =>
  sbx(
    ...["run", "--no-net", "--no-notices", "-v", `${top}:/work:copy`, "-w", "/work"],
    ...[...flags, "--", "sh", "-c", script],
  );

const CHANGES = [
  "sed -i s/two/zwei/ src/main; rm removed; chmod 755 tool; mkdir -m 700 new; echo there > new/file",
  "mv src/inner moved; ln -sf src/inner/file link; printf last > 'new/no end'",
].join("; ");

const CHANGED = [
  "link → src/inner/file",
  "moved/ 755",
  "moved/file 644 here\n",
  "new/ 700",
  "new/file 644 there\n",
  "new/no end 644 last",
  "src/ 755",
  "src/main 644 one\nzwei\nthree\n",
  "tool 755 #!/bin/sh\n",
];

test(
  "what a command changed in a copy is shown as a patch that git takes, and taken over",
  async () => {
    const top = project("run");
    const before = join(world.scratch, "before");
    cpSync(top, before, { recursive: true, verbatimSymlinks: true });
    const { status, stdout, stderr } = await sh(CHANGES, top, "--diff", "--apply");
    expect({ status, state: stateOf(top) }).toEqual({ status: 0, state: CHANGED });
    expect(stderr).toContain("applied: M src/main\n");
    expect(stderr).toContain("applied: P tool (644 → 755)\n");
    expect(stderr).toContain("applied: D removed\n");
    // The texts among them are in the patch.
    execFileSync("git", ["apply"], { cwd: before, input: stdout });
    const texts = (path: string) =>
      stateOf(path).filter((line) => !/^(?:link|tool|new\/ |src\/ |src\/inner\/ )/.test(line));
    expect(texts(before)).toEqual(texts(top));
  },
  300_000,
);

test(
  "a command that fails has nothing taken over, and what is unsafe makes another end of success",
  async () => {
    const top = project("failed");
    const before = stateOf(top);
    const failed = await sh(`${CHANGES}; exit 3`, top, "--apply");
    expect(failed.status).toBe(3);
    expect(failed.stderr).toContain("nothing is applied, as the command failed");
    expect(stateOf(top)).toEqual(before);
    const shown = await sh(`${CHANGES}; exit 3`, top, "--diff", "--apply");
    expect(shown.stderr).toContain("nothing is applied, as the command failed");
    const evil = "mkdir -p .git/hooks; echo sh > .git/hooks/post-checkout; echo sh > .envrc; " +
      "ln -s /etc/shadow shadow; ln -s ../../up up; mkfifo pipe; mknod disk b 8 0; " +
      "cp tool setuid; chmod 6755 setuid; echo fine > fine; " +
      "umount /work 2>/dev/null; mount -t tmpfs none /work; echo other > /work/fine";
    const { status, stderr } = await sh(evil, top, "--apply");
    expect(status).toBe(125);
    const more = [".git/ 755", "fine 644 fine\n", "setuid 755 #!/bin/sh\n"];
    expect(stateOf(top).sort()).toEqual([...before, ...more].sort());
    for (const path of [".git/hooks", ".envrc", "shadow", "up", "pipe", "disk"]) {
      expect(stderr).toContain(`not applied: ${path}: `);
      expect(existsSync(join(top, path)) || existsSync(join(top, path, "x"))).toBe(false);
    }
    expect(stderr).toContain("use --include-unsafe");
    const meant = await sh("echo meant > .envrc", top, "--apply", "--include-unsafe");
    expect({ status: meant.status, text: readFileSync(join(top, ".envrc"), "utf8") })
      .toEqual({ status: 0, text: "meant\n" });
  },
  600_000,
);

test(
  "a signal gives the looking and the taking over up, when the command has ended",
  async () => {
    const top = project("given-up");
    const before = stateOf(top);
    for (const options of [["--diff"], ["--apply"]]) {
      // Its digest takes the guest longer than anybody waits.
      const running = world.start([
        ...["run", "--no-net", "-q", "-v", `${top}:/work:copy`, ...options, "--"],
        ...["sh", "-c", "echo evil > /work/new; truncate -s 60G /work/large; echo done"],
      ], { limit: 200 });
      while (!running.stdout().includes("done")) await delay(50);
      await delay(3000);
      running.kill("SIGTERM");
      expect((await running.ended).status).toBe(143);
      expect(stateOf(top)).toEqual(before);
    }
  },
  500_000,
);

test("options that would mean nothing are refused before anything starts", async () => {
  const top = project("refused");
  const copy = ["-v", `${top}:/work:copy`];
  const rows: readonly (readonly [args: readonly string[], said: string])[] = [
    [["--apply"], "cannot use --apply: no directory is mounted as a copy"],
    [["--diff", "-v", `${top}:/work`], "cannot use --diff: no directory is mounted as a copy"],
    [["--include-unsafe", ...copy], "cannot use --include-unsafe: nothing is to be taken over"],
    [["-d", "--apply", ...copy], "cannot use --apply with -d"],
  ];
  for (const [args, said] of rows) {
    const { status, stderr } = await sbx("run", "--no-net", ...args, "--", "true");
    expect({ status, stderr }).toEqual({ status: 2, stderr: expect.stringContaining(said) });
  }
});

test(
  "a named sandbox's changes are shown and taken over, through conflicts, other lives and forks",
  async () => {
    const top = project("named");
    const inside = (script: string, name = "changed") =>
      sbx("exec", name, "--", "sh", "-c", `cd /work; ${script}`);
    const mount = ["-v", `${top}:/work:copy`, "--disk", "1G", "--policy", "none"];
    expect(await sbx("create", "-q", "-n", "changed", ...mount)).toMatchObject({ status: 0 });
    try {
      expect(await sbx("diff", "changed")).toMatchObject({
        status: 125,
        stderr: expect.stringContaining("it is not running"),
      });
      expect(await sbx("start", "changed")).toMatchObject({ status: 0 });
      expect(await sbx("diff", "changed")).toMatchObject({ status: 0, stdout: "" });
      await inside(`${CHANGES}; echo x > "$(printf 'n\\033[31m')"`);
      const { stdout } = await sbx("diff", "changed");
      expect(stdout).toBe([
        ...["M link (link to src/inner/file)", "A moved (directory)", "A moved/file"],
        ...["A n\\u{1b}[31m", "A new (directory, 700)", "A new/file", "A new/no end", "D removed"],
        ...["D src/inner (directory)", "D src/inner/file", "M src/main", "P tool (644 → 755)", ""],
      ].join("\n"));
      const some = JSON.parse((await sbx("diff", "changed", "--json", "src")).stdout);
      expect(some.changes.map(({ guestPath }: { guestPath: string }) => guestPath))
        .toEqual(["/work/src/inner", "/work/src/inner/file", "/work/src/main"]);
      // The guest goes on: what was looked at is not there any more.
      await inside("echo more >> src/main");
      const before = stateOf(top);
      expect(await sbx("apply", "changed", "src", "--digest", some.digest)).toMatchObject({
        status: 125,
        stderr: expect.stringContaining("not those any more that were looked at"),
      });
      expect(await sbx("apply", "changed", "--dry-run")).toMatchObject({ status: 0 });
      expect(stateOf(top)).toEqual(before);
      expect((await sbx("diff", "changed", "--stat", "src/main")).stdout).toBe(
        "src/main | +2 −1\n",
      );
      // Both have changed one file.
      writeFileSync(join(top, "src/main"), "mine\n");
      chmodSync(join(top, "tool"), 0o600);
      expect(await sbx("apply", "changed")).toMatchObject({
        status: 1,
        stderr: expect.stringContaining("not applied: src/main: it was changed here as well"),
      });
      expect(readFileSync(join(top, "src/main"), "utf8")).toBe("mine\n");
      expect(statSync(join(top, "tool")).mode & 0o777).toBe(0o600);
      expect((await sbx("diff", "changed")).stdout.replace(/ \[.*/gm, ""))
        .toBe("M src/main\nP tool (600 → 755)\n");
      // Another life, and another sandbox, know what the first was given.
      expect(await sbx("stop", "changed")).toMatchObject({ status: 0 });
      writeFileSync(join(top, "later"), "later\n");
      expect(await sbx("fork", "changed", "forked")).toMatchObject({ status: 0 });
      expect(await sbx("start", "changed")).toMatchObject({ status: 0 });
      for (const name of ["changed", "forked"]) {
        await inside("echo there >> later", name);
        expect((await sbx("diff", name)).stdout.replace(/ \(.*/gm, "")).toBe([
          ...["M later", "M src/main [held back: it was changed here as well]", "P tool", ""],
        ].join("\n"));
      }
      expect(await sbx("apply", "changed", "--force")).toMatchObject({ status: 0, stderr: "" });
      expect(readFileSync(join(top, "src/main"), "utf8")).toBe("one\nzwei\nthree\nmore\n");
      expect(await sbx("diff", "changed")).toMatchObject({ status: 0, stdout: "" });
      // What the one took over is a conflict for the other where it has its own.
      await inside("echo forked >> later", "forked");
      expect((await sbx("apply", "forked", "later")).stderr).toContain("changed here as well");
    } finally {
      await sbx("rm", "-f", "changed", "forked");
    }
  },
  600_000,
);

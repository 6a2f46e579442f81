/**
 * What decides over runs stays out of a guest's hands: what sbx keeps is never inside a writable mount, under
 * whatever name, and a journal goes to no file that a guest chose.
 */
import { afterAll, beforeEach, describe, expect, test } from "bun:test";
import {
  copyFileSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { run } from "../support/process.ts";
import { SBX } from "../support/world.ts";

const root = mkdtempSync(join(tmpdir(), "sbx-writable-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

/** A home with sbx's directories below it, and a project beside them. */
let home = "";
let number = 0;
beforeEach(() => {
  home = join(root, String(number++));
  for (const path of ["keep/cache/sbx", "keep/data/sbx", "project/deep"]) {
    mkdirSync(join(home, path), { recursive: true });
  }
});

/** A shared cache saves unpacking, except where the place of the cache matters. */
const SHARED = { XDG_CACHE_HOME: join(root, "shared-cache") };
const own = () => ({
  XDG_CACHE_HOME: join(home, "keep/cache"),
  XDG_DATA_HOME: join(home, "keep/data"),
});

/** Runs sbx in a mount namespace of its own, after a line of shell. */
function after(line: string, env: Record<string, string>, ...args: readonly string[]) {
  const argv = [SBX, "run", "--no-net", ...args, "--", "echo", "ran"];
  return run(["unshare", "-Urm", "sh", "-c", `${line}\nexec "$@"`, "sh", ...argv], {
    env,
    cwd: home,
  });
}

describe("a writable mount that holds what sbx keeps, or lies in it, is refused", () => {
  const CASES: readonly (readonly [what: string, mount: string, line?: string])[] = [
    ["the cache", "keep/cache/sbx"],
    ["the data", "keep/data/sbx"],
    ["what is above", "keep"],
    ["everything", "/"],
    ["what is below, and is not there yet", "keep/cache/sbx/assets", "mkdir keep/cache/sbx/assets"],
    ["a cache that is not there yet", "keep/cache", "rmdir keep/cache/sbx"],
    ["a link to it", "link", "ln -s keep/data link"],
    ["a second name by a bind mount", "bound", "mkdir bound && mount --bind keep bound"],
    [
      "a second name of a part of it",
      "keep/data",
      "mkdir bound && mount --bind keep/data/sbx bound && mkdir other && export XDG_DATA_HOME=$PWD/other && rmdir other && ln -s . other && ln -s bound sbx",
    ],
    ["a bind mount below the mount", "project", "mount --bind keep/data project/deep"],
    [
      "a file system below the mount",
      "project",
      "mount -t tmpfs none project/deep && export XDG_CACHE_HOME=$PWD/project/deep",
    ],
    [
      "a link in the mount that leads out",
      "project",
      "mv keep/data project/data && mkdir away && mv project/data away && ln -s ../away/data project/data && export XDG_DATA_HOME=$PWD/project/data",
    ],
  ];
  test.each(CASES)("%s", async (_, mount, line = "") => {
    const { status, stdout, stderr } = await after(line, own(), "-v", `${mount}:/m`);
    expect({ status, stdout }).toEqual({ status: 2, stdout: "" });
    expect(stderr).toMatch(
      /^sbx: cannot mount .* writable: sbx keeps (?:what it executes|its certificate authority) in /m,
    );
    expect(stderr).toMatch(/^hint: mount it with :ro, .*XDG_(?:CACHE|DATA)_HOME/m);
  });

  test("the hint works: read-only, and apart", async () => {
    const env = { ...own(), ...SHARED };
    for (const mount of ["keep:/m:ro", "project:/m"]) {
      expect(await after("", env, "-v", mount)).toMatchObject({ status: 0, stdout: "ran\n" });
    }
  });
});

describe("the journal", () => {
  const log = (path: string, ...args: readonly string[]) =>
    run([SBX, "run", "--no-net", "--log", path, ...args, "--", "echo", "ran"], {
      env: { ...own(), ...SHARED },
      cwd: home,
    });

  test("inside a writable mount is refused and not made, under any name", async () => {
    symlinkSync("project", join(home, "link"));
    for (
      const path of ["project/log", "project/deep/log", "link/log", "project/none/../deep/log"]
    ) {
      const { status, stdout, stderr } = await log(path, "-v", "project:/m");
      expect({ path, status, stdout }).toEqual({ path, status: 2, stdout: "" });
      expect(stderr).toMatch(/^sbx: cannot write the journal .*: it is inside a writable mount/);
    }
    expect(existsSync(join(home, "project/log")) || existsSync(join(home, "project/deep/log")))
      .toBe(false);
    expect(await log("project/log", "-v", "project:/m:ro")).toMatchObject({ status: 0 });
    expect(await log("log", "-v", "project:/m")).toMatchObject({ status: 0 });
  });

  test("goes to no file that a link or a second name leads to, and to none of others", async () => {
    const victim = join(home, ".bashrc");
    writeFileSync(victim, "precious\n");
    symlinkSync(victim, join(home, "project/symbolic"));
    symlinkSync(join(home, "made"), join(home, "project/dangling"));
    linkSync(victim, join(home, "project/hard"));
    writeFileSync(join(home, "project/theirs"), "");
    await run(["chown", "65533", join(home, "project/theirs")]);
    for (
      const [name, state] of [
        ["symbolic", "it is a symbolic link"],
        ["dangling", "it is a symbolic link"],
        ["hard", "it has other names, too"],
        ["theirs", "it belongs to user 65533"],
      ] as const
    ) {
      const { status, stdout, stderr } = await log(`project/${name}`);
      expect({ name, status, stdout }).toEqual({ name, status: 125, stdout: "" });
      expect(stderr).toMatch(
        new RegExp(`^sbx: cannot write the journal project/${name}: ${state}\nhint: `),
      );
    }
    expect(readFileSync(victim, "utf8")).toBe("precious\n");
    expect(existsSync(join(home, "made"))).toBe(false);
    expect(readFileSync(join(home, "project/theirs"), "utf8")).toBe("");
  });

  test("goes to whatever the shell opened", async () => {
    const line = `"$0" run --no-net --log`;
    for (
      const [command, read] of [
        [`${line} /dev/stderr -- true 2>out`, "out"],
        [`${line} /dev/fd/7 -- true 7>out`, "out"],
        [`${line} /dev/stdout -- true | cat >out`, "out"],
        [
          `${line} >(cat >out) -- true; for i in 1 2 3 4 5 6 7 8 9; do test -s out || sleep 1; done`,
          "out",
        ],
        [`mkfifo pipe; cat pipe >out & ${line} pipe -- true; wait`, "out"],
        [`${line} /dev/null -- true; echo '{"event":"end"}' >out`, "out"],
      ] as const
    ) {
      const { status, stderr } = await run(["bash", "-c", `${command}`, SBX], {
        env: { ...own(), ...SHARED },
        cwd: home,
      });
      expect({ command, status, stderr }).toMatchObject({ status: 0 });
      expect([command, readFileSync(join(home, read), "utf8")]).toEqual([
        command,
        expect.stringContaining('"event":"end"'),
      ]);
      for (const name of ["out", "pipe"]) rmSync(join(home, name), { force: true });
    }
  });

  test("is the user's alone when it is new, and appended to when it is not", async () => {
    await log("fresh");
    expect(lstatSync(join(home, "fresh")).mode & 0o777).toBe(0o600);
    const once = readFileSync(join(home, "fresh"), "utf8");
    await log("fresh");
    expect(readFileSync(join(home, "fresh"), "utf8").split("\n").length).toBe(
      once.split("\n").length * 2 - 1,
    );
  });
});

describe("what the guest could change for the next run", () => {
  const CHANGES = /^sbx: inside a writable mount, the guest can change for the next run: (.*)$/m;

  test("is told once: policy, lists, environment, certificates, and sbx itself", async () => {
    const project = join(home, "project");
    writeFileSync(join(project, "policy.yaml"), "default: deny\ndns: {block: ['@list.txt']}\n");
    writeFileSync(join(project, "list.txt"), "ads.example.com\n");
    writeFileSync(join(project, "more.txt"), "ads.example.com\n");
    writeFileSync(join(project, ".env"), "A=1\n");
    const env = { ...own(), ...SHARED };
    await run([SBX, "ca", "init"], { env });
    writeFileSync(join(project, "ca.pem"), (await run([SBX, "ca", "export"], { env })).stdout);
    copyFileSync(SBX, join(project, "sbx"));
    const args = ["--policy", "policy.yaml", "--env-file", ".env", "--block-domain", "@more.txt"];
    args.push("--tls-intercept", "--upstream-ca", "ca.pem");
    const go = (mount: string) =>
      run([join(project, "sbx"), "run", ...args, "-v", mount, "--", "echo", "ran"], {
        env,
        cwd: project,
      });
    const { status, stderr } = await go(".:/m");
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(CHANGES.exec(stderr)?.[1]).toBe("policy.yaml and 5 more");
    expect(stderr.match(/inside a writable mount/g)).toHaveLength(1);
    rmSync(join(project, "ca.pem"));
    args.splice(4, 5);
    expect(CHANGES.exec((await go(".:/m")).stderr)?.[1]).toBe(
      `policy.yaml, .env, list.txt, ${project}/sbx`,
    );
    for (const mount of [".:/m:ro", "deep:/m"]) {
      expect((await go(mount)).stderr).not.toMatch(CHANGES);
    }
  });

  test("is found behind links, on either side of them", async () => {
    writeFileSync(join(home, "project/real"), "A=1\n");
    symlinkSync("project/real", join(home, "outside"));
    writeFileSync(join(home, "plain"), "A=1\n");
    symlinkSync("../plain", join(home, "project/inside"));
    for (const path of ["outside", "project/inside"]) {
      const { stderr } = await run(
        [SBX, "run", "--no-net", "--env-file", path, "-v", "project:/m", "--", "true"],
        { env: { ...own(), ...SHARED }, cwd: home },
      );
      expect(CHANGES.exec(stderr)?.[1]).toBe(path);
    }
  });
});

describe("the source of a mount", () => {
  const go = (mount: string, ...command: readonly string[]) =>
    run([SBX, "run", "--no-net", "-v", mount, "--", ...command], {
      env: { ...own(), ...SHARED },
      cwd: home,
    });

  test("that a link leads to is named, as the link can be a guest's", async () => {
    symlinkSync("../keep/data", join(home, "project/link"));
    const { status, stdout, stderr } = await go("project/link:/m:ro", "ls", "/m");
    expect({ status, stdout }).toEqual({ status: 0, stdout: "sbx\n" });
    expect(stderr).toContain(
      `a link leads from project/link to ${home}/keep/data, which the guest gets`,
    );
    expect((await go("project/deep/..:/m", "ls", "/m")).stderr).not.toContain("a link leads");
  });

  test("has any name, and never becomes an option of QEMU", async () => {
    const names = [",readonly=on,x=y", "a,,b", "line\nbreak", "two  blanks", "ü=%n", "-v"];
    for (const name of names) mkdirSync(join(home, name));
    const { status, stderr } = await run(
      [
        ...[SBX, "run", "--no-net"],
        ...names.flatMap((name, index) => ["-v", `./${name}:/m/${index}`]),
        ...["--", "sh", "-c", "for dir in /m/*; do echo $dir > $dir/file || exit 1; done"],
      ],
      { env: { ...own(), ...SHARED }, cwd: home },
    );
    expect({ status, stderr }).toMatchObject({ status: 0 });
    expect(names.map((name) => readFileSync(join(home, name, "file"), "utf8"))).toEqual(
      names.map((_, index) => `/m/${index}\n`),
    );
  });
});

test("a QEMU that a guest left first on the PATH is not executed, in this run or the next", async () => {
  const bin = join(home, "project/bin");
  mkdirSync(bin);
  const proof = join(home, "executed");
  const planted = `#!/bin/sh\\ntouch ${proof}\\n`;
  const go = (script: string, mount: string, cwd: string) =>
    run([SBX, "run", "--no-net", "-v", mount, "--", "sh", "-c", script], {
      env: { ...own(), ...SHARED, PATH: `${bin}:${process.env["PATH"]}` },
      cwd,
    });
  const project = join(home, "project");
  const plant = `for name in qemu-system-x86_64 qemu-system-aarch64; do
    printf '${planted}' > /m/bin/$name; chmod 755 /m/bin/$name; done`;
  expect(await go(plant, `${project}:/m`, home)).toMatchObject({ status: 0 });
  expect(existsSync(join(bin, "qemu-system-x86_64"))).toBe(true);
  expect(await go("echo ran", `${project}:/m`, home)).toMatchObject({ stdout: "ran\n" });
  expect(await go("echo ran", `${project}:/m:ro`, project)).toMatchObject({ stdout: "ran\n" });
  expect(existsSync(proof)).toBe(false);
});

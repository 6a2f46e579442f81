/**
 * `--root`: the guest runs the system of a directory tree, by either transport, which stays as it is; and a
 * tree that wants this machine's files gets none.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { Buffer } from "node:buffer";
import process from "node:process";
import { lookForFileDaemon } from "../../lib/guest/qemu/file_daemon.ts";
import { NetworkPolicy, Sandbox } from "../../lib/mod.ts";
import { run } from "../support/process.ts";
import { makeSystem } from "../support/system_tree.ts";
import { openWorld, SBX, type World } from "../support/world.ts";

const isRoot = process.getuid?.() === 0;
const daemon = lookForFileDaemon();
const SECRET = "of this machine alone";

let world: World;
let place = "";
let system = "";
beforeAll(async () => {
  world = await openWorld();
  place = join(world.scratch, "trees");
  system = join(place, "system");
  makeSystem(system, ["/usr/bin/curl"]);
  writeFileSync(join(system, "root/note"), "the tree's\n", { mode: 0o600 });
  writeFileSync(join(place, "secret"), SECRET);
});
afterAll(() => world?.[Symbol.asyncDispose]());

/** Every name in a tree, with what a guest could have changed of it. */
async function stateOf(tree: string): Promise<string> {
  const { stdout } = await run(["find", tree, "-printf", "%P %y %m %U %G %s %T@ %l\n"]);
  return stdout;
}

const sh = (
  script: string,
  ...options: string[]
) => ["run", "-q", "--root", system, ...options, "--", "sh", "-c", script];

/** Runs sbx, with nothing there that could serve by virtiofs where 9p is to. */
function by(transport: "9p" | "virtiofs", args: readonly string[]) {
  const hidden = transport === "9p" && "path" in daemon
    ? `mount --bind /dev/null '${daemon.path}'`
    : ":";
  const cache = join(place, `cache-${transport}`);
  mkdirSync(cache, { recursive: true });
  return world.run([
    ...["unshare", isRoot ? "-m" : "-Urm", "sh", "-c", `${hidden} && exec "$@"`, "sh"],
    ...["env", `XDG_CACHE_HOME=${cache}`, SBX, ...args],
  ], { limit: 280 });
}

describe.each(["virtiofs", "9p"] as const)("by %s", (transport) => {
  test.skipIf(transport === "virtiofs" && "missing" in daemon)(
    "the guest has the tree's programs, users and files, and the tree has nothing of the guest's",
    async () => {
      const before = await stateOf(system);
      const script = [
        "ls -d /usr/bin/curl /usr/bin/python3 2>&1 | wc -l; pwd; cat note",
        `grep -q "^${transport === "9p" ? "tree0" : "none"} \\|lowerdir" /proc/mounts && echo laid`,
        "cat /etc/hostname; grep -c box /etc/hosts; grep -c . /etc/machine-id",
        "id -un; stat -c %a /tmp /root /etc",
        "echo changed >/usr/bin/curl; rm -r /home/ann /etc/group; touch /new; chmod 777 /root; ls /new",
      ].join("\n");
      const { status, stdout, stderr } = await by(transport, sh(script, "--no-net", "-n", "box"));
      expect([status, stderr]).toEqual([0, ""]);
      expect(stdout.split("\n")).toEqual([
        ...["2", "/root", "the tree's", "laid", "box", "2", "1", "root"],
        ...["1777", "700", "755", "/new", ""],
      ]);
      expect(await stateOf(system)).toBe(before);
    },
    300_000,
  );
});

test("users are the tree's", async () => {
  const who = async (user: string) => {
    const { status, stdout, stderr } = await world.sbx(
      sh("id; pwd; cat /root/note", "--no-net", "-u", user),
    );
    return { status, lines: (stdout + stderr).split("\n") };
  };
  const { lines } = await who("ann");
  expect(lines[0]).toBe("uid=1234(ann) gid=100(users) groups=77(extra),100(users)");
  expect(lines[1]).toBe("/home/ann");
  expect(lines[2]).toContain("Permission denied");
  const nobody = await who("daemon");
  expect(nobody.lines.join("\n")).toContain("no user daemon in the guest");
  expect(nobody.status).not.toBe(0);
}, 300_000);

test(
  "programs of the tree ask its resolver and believe its authority, and are judged",
  async () => {
    const all = ["ca-certificates.crt", "../cert.pem"].map((name) => `/etc/ssl/certs/${name}`)
      .concat(
        "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
      );
    const script = [
      "env -i /usr/bin/curl -sS https://api.allowed.test/ | grep -o 'as api.allowed.test over'",
      ...all.map((path) =>
        `env -i /usr/bin/curl -sS --cacert ${path} https://api.allowed.test/ | grep -c over`
      ),
      "curl -sS -m 20 https://other.denied.test/; echo $?",
    ].join("\n");
    const { status, stdout } = await world.sbx(
      sh(
        script,
        ...["--policy", "none", "--allow", "api.allowed.test", "--tls-intercept"],
        ...["--upstream-ca", world.ca],
      ),
    );
    expect(stdout.split("\n")).toEqual([
      "as api.allowed.test over",
      ...all.map(() => "1"),
      "6",
      "",
    ]);
    expect(status).toBe(0);
  },
  300_000,
);

test("a tree whose links lead out of it shows nothing of this machine", async () => {
  const hostile = join(place, "hostile");
  makeSystem(hostile);
  for (
    const [name, target] of Object.entries({
      ...{ "etc": "/etc", "dev": "/", "proc": "/usr", "sys": "../../..", "run": "/usr/bin" },
      ...{ "tmp": "tmp", "var": "/var", "stolen": join(place, "secret"), "up": "../secret" },
    })
  ) {
    rmSync(join(hostile, name), { recursive: true, force: true });
    symlinkSync(target, join(hostile, name));
  }
  if (isRoot) chownSync(hostile, 4321, 4321);
  const script = [
    "cat /stolen /up /../secret /etc/passwd 2>&1 | grep -c 'No such file'",
    "cat /etc/hostname; stat -c %F /etc /dev /proc /sys /run /tmp; ls /usr/bin/sbx 2>&1 | wc -l",
  ].join("\n");
  const before = await stateOf(hostile);
  const { status, stdout, stderr } = await world.sbx(
    ["run", "-q", "--no-net", "--root", hostile, "-n", "box", "--", "sh", "-c", script],
  );
  expect([status, stderr]).toEqual([0, ""]);
  expect(stdout).not.toContain(SECRET);
  const directories = new Array(6).fill("directory");
  expect(stdout.split("\n")).toEqual(["4", "box", ...directories, "1", ""]);
  expect(await stateOf(hostile)).toBe(before);
}, 300_000);

test("with mounts in the tree, and a disk that keeps what the guest made of it", async () => {
  const disk = join(place, "disk");
  const work = join(place, "work");
  mkdirSync(work);
  chmodSync(work, 0o777);
  const builder = Sandbox.builder().root(system).disk("256M", { path: disk })
    .network((n) => n.policy(NetworkPolicy.none()))
    .mount(work, "/home/ann/work");
  for (
    const [script, said] of [
      ["touch /usr/bin/kept /home/ann/work/seen /run/lost; rm /usr/bin/id", ""],
      [
        "ls /usr/bin/kept /usr/bin/id /run/lost /home/ann/work 2>/dev/null",
        "/usr/bin/kept\n\n/home/ann/work:\nseen\n",
      ],
    ] as const
  ) {
    await using sandbox = await builder.create();
    expect((await sandbox.exec("sh", ["-c", script]).output()).stdout).toBe(said);
  }
  expect(existsSync(join(work, "seen"))).toBe(true);
  expect(lstatSync(join(system, "usr/bin/id")).isSymbolicLink()).toBe(true);
}, 300_000);

test("a named sandbox has its tree at every start, wherever it is started from", async () => {
  const state = { XDG_STATE_HOME: join(place, "state"), PATH: process.env["PATH"] ?? "" };
  const sbx = (...args: string[]) => run([SBX, ...args], { cwd: place, env: state, limit: 280 });
  expect((await sbx("create", "-q", "--no-net", "--root", "system", "-n", "treed")).status).toBe(0);
  try {
    expect((await sbx("start", "treed")).status).toBe(0);
    const { stdout } = await sbx("exec", "treed", "--", "cat", "/root/note");
    expect(stdout).toBe("the tree's\n");
    await sbx("stop", "treed");
    const again = await run([SBX, "start", "treed"], { cwd: "/", env: state, limit: 280 });
    expect(again.status).toBe(0);
    expect((await sbx("exec", "treed", "--", "cat", "/root/note")).stdout).toBe("the tree's\n");
  } finally {
    await sbx("rm", "-f", "treed");
  }
}, 400_000);

test("what is no system for this machine is refused before anything starts", async () => {
  const foreign = join(place, "foreign");
  mkdirSync(join(foreign, "bin"), { recursive: true });
  const program = Buffer.from(readFileSync("/bin/busybox").subarray(0, 64));
  program.writeUInt16LE(process.arch === "x64" ? 183 : 62, 18);
  writeFileSync(join(foreign, "bin/sh"), program);
  const empty = join(place, "empty");
  mkdirSync(empty);
  const [theirs, own] = process.arch === "x64" ? ["arm64", "x86-64"] : ["x86-64", "arm64"];
  for (
    const [root, words] of [
      [foreign, `as the guest's root: its programs are for ${theirs}, and guests here are ${own}`],
      [empty, "as the guest's root: it has no /bin/sh"],
      ["/", "cannot use / as the guest's root: it holds all files of this machine"],
      [join(system, "etc/passwd"), "as the guest's root: it is not a directory"],
      [join(place, "none"), "none as the guest's root: no such file or directory"],
      ["", "cannot use --root"],
    ] as const
  ) {
    const { status, stdout, stderr } = await world.sbx(["run", "--root", root, "--", "true"]);
    expect([status, stdout]).toEqual([root === "" ? 2 : status, ""]);
    expect(status).toBeGreaterThan(0);
    expect(stderr).toContain(words);
    expect(stderr).toContain("hint");
  }
}, 120_000);

test(
  "a tree that holds the file of a secret is refused, since the guest would see the value",
  async () => {
    const token = join(system, "root/token");
    writeFileSync(token, "value", { mode: 0o600 });
    try {
      const { status, stderr } = await world.sbx(
        sh("true", "--secret", `T=file:${token}@api.allowed.test`),
      );
      expect(status).toBeGreaterThan(0);
      expect(stderr).toContain(`secret T is read from ${token}, which the guest would see`);
    } finally {
      rmSync(token);
    }
  },
  120_000,
);

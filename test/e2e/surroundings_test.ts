/**
 * Faults of what is around sbx: limits, mounts, closed streams, a missing home. Each run works, or says in one
 * line what is missing; none fails as a fault of sbx, and none in silence.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { ordinaryUser } from "../support/ordinary_user.ts";
import { PUBLIC } from "../support/places.ts";
import { run } from "../support/process.ts";
import { openWorld, ROOT, SBX, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld();
});
afterAll(() => world?.[Symbol.asyncDispose]());

const CACHE = join(ROOT, ".cache/test");
const HI = `'${SBX}' run -q --no-net -- echo hi`;

/** A shell script in mount and process namespaces of its own; as the caller where that needs no root. */
const inNamespaces = (script: string) => {
  const user = process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"];
  return ["unshare", ...user, "--mount", "sh", "-c", script];
};
const inShell = (script: string) => ["sh", "-c", script];

/**
 * `sbx version` after `script`, as a user who has no other processes, where the caller may become one. sbx is
 * found by its descriptor: it need not be in that user's reach.
 */
const asAnother = (script: string, limits = "") => {
  const become = ordinaryUser(64_321).join(" ");
  return inShell(`exec 9<'${SBX}'; ${script}; exec ${become} ${limits} /proc/self/fd/9 version`);
};
const withThreads = (count: number) => asAnother(":", `prlimit --nproc=${count} --`);

/** A directory below the world's scratch whose path is of that many bytes, in Python, as chdir(2) takes no such path at once. */
const inDeepDirectory = (bytes: number) => [
  "python3",
  "-c",
  `
import os, sys
left = ${bytes} - len(os.getcwd())
while left > 1:
    name = "d" * (min(left, 200) - 1 - (left == 201))
    os.mkdir(name); os.chdir(name); left -= len(name) + 1
os.execv(sys.argv[1], [sys.argv[1], "version"])
`,
  SBX,
];

/** What needs no guest, since these limits would not let one start. */
const VERSION = `exec '${SBX}' version`;

const cannot = (what: string) => new RegExp(`^sbx: cannot ${what}.*\\nhint: .*\\n$`);

describe("sbx works", () => {
  const WORKING: Readonly<Record<string, readonly string[]>> = {
    "without /proc/sys": inNamespaces(`mount -t tmpfs none /proc/sys && ${HI}`),
    "with an empty /dev": inNamespaces(`mount -t tmpfs none /dev && ${HI}`),
    "without a temporary directory": inShell(`TMPDIR=/nonexistent ${HI}`),
    "without a home": inShell(`unset HOME; ${HI}`),
    "with few open files": inShell(`ulimit -n 64; ${HI}`),
    "with a low soft limit of them": inShell(`ulimit -Sn 16; ${HI}`),
    "as the first process of a container": [
      "unshare",
      ...(process.getuid?.() === 0 ? [] : ["--user", "--map-root-user"]),
      ...["--pid", "--fork", "--mount-proc", SBX, "run", "-q", "--no-net", "--", "echo", "hi"],
    ],
    "with a closed input": inShell(`${HI} <&-`),
    "with a closed standard error": inShell(`'${SBX}' run --no-net -- echo hi 2>&-`),
  };
  test.each(Object.entries(WORKING))("%s", async (_, argv) => {
    const { status, stdout, stderr } = await run(argv, { env: { XDG_CACHE_HOME: CACHE } });
    expect([status, stdout, stderr]).toEqual([0, "hi\n", ""]);
  });
});

describe("sbx says what is missing", () => {
  const FAILING: Readonly<Record<string, readonly [readonly string[], RegExp]>> = {
    ...Object.fromEntries([8, 10, 16, 24, 32].map((files) => [
      `${files} open files`,
      [inShell(`ulimit -n ${files}; ${HI}`), cannot("start a sandbox: it opens \\d+ files")],
    ])),
    "no home that can be written": [
      inShell(`unset XDG_CACHE_HOME; HOME=/proc/1 ${HI}`),
      cannot("use the cache"),
    ],
  };
  test.each(Object.entries(FAILING))("%s", async (_, [argv, message]) => {
    const { status, stdout, stderr } = await run(argv, { env: { XDG_CACHE_HOME: CACHE } });
    expect([status, stdout]).toEqual([125, ""]);
    expect(stderr).toMatch(message);
  });

  test("a cache that nothing may be run from", async () => {
    const cache = join(world.scratch, "noexec");
    mkdirSync(cache);
    const script = `mount -t tmpfs -o noexec none '${cache}' && XDG_CACHE_HOME='${cache}' ${HI}`;
    const { status, stderr } = await run(inNamespaces(script));
    expect(status).toBe(125);
    expect(stderr).toMatch(cannot("run .*netstack\\S*: no program may be run from"));
    expect(stderr).toContain("XDG_CACHE_HOME");
  });
});

describe("where its runtime cannot start", () => {
  const REMOVED = "mkdir gone && cd gone && rmdir ../gone";
  const UNMOUNTED = "mkdir place && mount -t tmpfs none place && cd place && umount -l ../place";
  const OF_OTHERS = "unshare --pid --fork mount -t proc none /proc";
  const MISSING: Readonly<Record<string, readonly [readonly string[], string]>> = {
    "no /proc": [inNamespaces(`mount -t tmpfs none /proc; ${HI}`), "/proc is not mounted"],
    "a /proc of other processes": [
      inNamespaces(`${OF_OTHERS}; ${HI}`),
      "/proc is of another PID namespace",
    ],
    "a removed working directory": [
      inShell(`${REMOVED}; ${HI}`),
      "the working directory was removed",
    ],
    "a working directory that was unmounted": [
      inNamespaces(`${UNMOUNTED}; ${HI}`),
      "the working directory is outside of the root directory",
    ],
    "a working directory with too long a path": [
      inDeepDirectory(4096),
      "the path of the working directory is too long",
    ],
    "few threads": [withThreads(16), "it takes 16 threads, and fewer may be started"],
    "a small stack": [
      inShell(`ulimit -s 255; ${VERSION}`),
      "it takes 256 KiB of stack, and the limit is lower",
    ],
    "little memory for data": [
      inShell(`ulimit -d 393215; ${VERSION}`),
      "it takes 384 MiB for data, and the limit is lower",
    ],
    "few addresses": [
      inShell(`ulimit -v 524287; ${VERSION}`),
      "it takes 512 MiB of address space, and the limit is lower",
    ],
  };

  test.each(Object.entries(MISSING))(
    "sbx says what is missing: %s",
    async (name, [argv, state]) => {
      const cwd = join(world.scratch, name.replaceAll("/", ""));
      mkdirSync(cwd);
      const { status, stdout, stderr } = await run(argv, { cwd, env: { XDG_CACHE_HOME: CACHE } });
      expect([status, stdout]).toEqual([125, ""]);
      expect(stderr).toStartWith(`sbx: cannot start: ${state}\nhint: `);
      expect(stderr.split("\n")).toHaveLength(3);
    },
  );

  const ENOUGH: Readonly<Record<string, readonly string[]>> = {
    "another /proc, as the hint says": inNamespaces(
      `${OF_OTHERS}; mount -t tmpfs none /proc; mount -t proc proc /proc && ${VERSION}`,
    ),
    "a /proc that shows no processes of others": inNamespaces(
      `mount -t proc -o hidepid=2,subset=pid none /proc && ${VERSION}`,
    ),
    "another working directory": inShell(`${REMOVED}; cd /; ${VERSION}`),
    "a working directory with a path of that length": inDeepDirectory(4095),
    "a working directory that cannot be read": asAnother("chmod 0 ."),
    "that many threads": withThreads(17),
    "such a stack": inShell(`ulimit -s 256; ${VERSION}`),
    "such memory for data": inShell(`ulimit -d 393216; ${VERSION}`),
    "such addresses": inShell(`ulimit -v 524288; ${VERSION}`),
  };

  test.each(Object.entries(ENOUGH))("with %s it starts", async (name, argv) => {
    const cwd = join(world.scratch, `with ${name.replaceAll("/", "")}`);
    mkdirSync(cwd);
    const { status, stdout, stderr } = await run(argv, { cwd });
    expect([status, stderr]).toEqual([0, ""]);
    expect(stdout).toStartWith("sbx ");
  });

  test("it says nothing at all where nobody listens, and fails all the same", async () => {
    const argv = inShell(`${REMOVED.replaceAll("gone", "quiet")}; ${HI} 2>&-`);
    const { status, stdout } = await run(argv, { cwd: world.scratch });
    expect([status, stdout]).toEqual([125, ""]);
  });
});

test("connections beyond the open files that a process may have are refused, and that is told", async () => {
  const script = `
import socket
held, refused = [], 0
for _ in range(60):
    try: held.append(socket.create_connection(("${PUBLIC}", 7), 20))
    except ConnectionRefusedError: refused += 1
held[0].sendall(b"still here"); print(len(held), refused, held[0].recv(10).decode())
`;
  const journal = join(world.scratch, "descriptors.jsonl");
  const args = ["run", "--log", journal, "--", "python3", "-c", script];
  const { status, stdout, stderr } = await world.run(
    ["sh", "-c", 'ulimit -n 72; exec "$@"', "sh", SBX, ...args],
    { env: { XDG_CACHE_HOME: CACHE } },
  );
  const [held = 0, refused = 0] = stdout.split(" ").map(Number);
  expect([status, held + refused]).toEqual([0, 60]);
  expect(stdout).toEndWith("still here\n");
  expect(refused).toBeGreaterThan(0);
  expect(stderr).toMatch(/refused \d+ new flows?: as many are open as this process may have files/);
  const events = readFileSync(journal, "utf8").trim().split("\n").map((line) => JSON.parse(line));
  const count = (event: string) => events.filter((line) => line.event === event).length;
  expect([count("opened"), count("closed")]).toEqual([held, held]);
  expect(events.some(({ event, what }) => event === "limit" && what === "descriptors")).toBe(true);
});

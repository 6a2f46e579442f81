/**
 * Faults of what is around sbx: limits, mounts, closed streams, a missing home. Each run works, or says in one
 * line what is missing; none fails as a fault of sbx, and none in silence.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
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

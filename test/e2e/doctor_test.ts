/**
 * The doctor fails where a run does not start, and nowhere else.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { arch } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { openWorld, SBX, type World } from "../support/world.ts";

let world: World;
beforeAll(async () => {
  world = await openWorld({ bare: true });
  const cache = join(world.scratch, "filled");
  await world.sbx(["doctor", "--no-boot"], { env: { XDG_CACHE_HOME: cache } });
  mkdirSync(join(world.scratch, "open"));
  chmodSync(join(world.scratch, "open"), 0o777);
  // A QEMU without what guests need, as distributions that split it have.
  const name = `qemu-system-${arch() === "arm64" ? "aarch64" : "x86_64"}`;
  const bin = join(world.scratch, "bin");
  mkdirSync(bin);
  const script = `#!/bin/sh
[ "$1" = --version ] && { echo 'QEMU emulator version 8.0.0'; exit; }
echo "'virtio-serial-device' is not a valid device model name" >&2; exit 1
`;
  writeFileSync(join(bin, name), script, { mode: 0o755 });
});
afterAll(() => world?.[Symbol.asyncDispose]());

const isRoot = process.getuid?.() === 0;
const namespace = isRoot ? "unshare -m" : "unshare -Urm";

type Case = readonly [
  where: string,
  /** A line of shell; the command is in "$@". */
  script: string,
  /** Of the finding that keeps a run from starting, or of the note that says what is poorer. */
  finding: string,
  fails: boolean,
];
const CASES: readonly Case[] = [
  ["few files may be open", 'ulimit -n 36; exec "$@"', "files", true],
  ["anybody can replace the cache", 'XDG_CACHE_HOME=$PLACE/open/x exec "$@"', "components", true],
  ["QEMU lacks a device", 'PATH=$PLACE/bin:$PATH exec "$@"', "guest", true],
  [
    "there is no resolver",
    `exec ${namespace} sh -c 'mount --bind /dev/null /etc/resolv.conf && exec "$@"' sh "$@"`,
    "resolvers",
    false,
  ],
  [
    "a filled cache cannot be written",
    `exec ${namespace} sh -c 'mount --bind $XDG_CACHE_HOME $XDG_CACHE_HOME &&
      mount -o remount,ro,bind $XDG_CACHE_HOME && exec "$@"' sh "$@"`,
    "cache",
    false,
  ],
];

test.each(CASES)("where %s", async (_, script, finding, fails) => {
  const env = { PLACE: world.scratch, XDG_CACHE_HOME: join(world.scratch, "filled") };
  const here = (...argv: string[]) => world.run(["sh", "-c", script, "sh", SBX, ...argv], { env });
  const run = await here("run", "-q", "--", "true");
  const doctor = await here("doctor", "--json");
  expect([run.status, doctor.status]).toEqual(fails ? [125, 1] : [0, 0]);
  const { findings }: { findings: { name: string; state: string; fix?: string }[] } = JSON.parse(
    doctor.stdout,
  );
  const found = findings.find(({ name }) => name === finding);
  expect(found?.state).toBe(fails ? "missing" : "note");
  expect(found?.fix).not.toBeEmpty();
  expect(findings.some(({ name }) => name === "guest")).toBe(!fails || finding === "guest");
}, 120_000);

/**
 * Guests with a disk, or with a root of their own, go on from a template that has no root yet: as fresh as those
 * that boot, with all that comes to them in its place.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { KeptTemplate } from "../../lib/mod.ts";
import { until } from "../support/process.ts";
import { makeSystem } from "../support/system_tree.ts";
import { openWorld, SBX, type World } from "../support/world.ts";

/** In every place that the making could take something from. */
const PLANT = `plant-${randomBytes(12).toString("hex")}`;

let world: World;
let templates = "";
let env: Readonly<Record<string, string>>;
beforeAll(async () => {
  world = await openWorld({ bare: true, cold: true });
  const cache = join(world.scratch, `cache-${PLANT}`);
  env = { XDG_CACHE_HOME: cache, XDG_STATE_HOME: join(world.scratch, "state"), SBX_TRACE: "agent" };
  templates = join(cache, "sbx/templates");
}, 400_000);
afterAll(() => world?.[Symbol.asyncDispose]());

/** An agent that was saved has had a call before. */
const boots = (stderr: string) => stderr.includes("trace agent 1 new");
const kept = () => {
  try {
    return readdirSync(templates).filter((name) => /^[0-9a-f]{64}$/.test(name));
  } catch {
    return [];
  }
};

async function sbx(...args: readonly string[]) {
  return await world.sbx(args, { env, limit: 300 });
}

async function done(...args: readonly string[]): Promise<string> {
  const { status, stdout, stderr } = await sbx(...args);
  expect({ args, status, stderr: status === 0 ? "" : stderr })
    .toEqual({ args, status: 0, stderr: "" });
  return stdout;
}

async function guest(flags: readonly string[], script: string) {
  const { status, stdout, stderr } = await sbx("run", ...flags, "--", "sh", "-c", script);
  expect({ status, stderr: status === 0 ? "" : stderr }).toEqual({ status: 0, stderr: "" });
  return { stdout, boots: boots(stderr) };
}

test("a guest with a disk boots for want of one, and leaves it behind for the next", async () => {
  const disk = ["--no-net", "--disk", "1G"];
  expect((await guest(disk, "echo here")).boots).toBe(true);
  await until("a template", () => kept().length === 1, 100);
  const { stdout, boots } = await guest(
    disk,
    "stat -f -c %T /; df -m / | tail -n 1; echo kept > /kept; cat /kept",
  );
  const [kind, room = "", word] = stdout.split("\n");
  expect({ boots, kind, word }).toEqual({ boots: false, kind: "ext2/ext3", word: "kept" });
  expect(Number(room.split(/ +/)[1])).toBeGreaterThan(900);
  const listed = JSON.parse((await sbx("template", "ls", "--json")).stdout);
  expect(listed).toMatchObject([{ manifest: { size: { network: false, root: false } } }]);
}, 400_000);

test("two guests of it have nothing in common that has to be a guest's own", async () => {
  const script = [
    "cat /etc/machine-id /proc/sys/kernel/random/boot_id",
    "od -An -N16 -tx8 /dev/urandom",
    "python3 -c 'import os; print(os.getrandom(16).hex())'",
    // What the file system drew when it was mounted: the generation of a new file.
    `python3 -c 'import fcntl, os, struct
print(struct.unpack("i", fcntl.ioctl(os.open("/new", os.O_CREAT), 0x80087601, bytes(4)))[0])'`,
  ].join("\n");
  const both = await Promise.all([1, 2].map(() => guest(["--no-net", "--disk", "1G"], script)));
  const [first = [], second = []] = both.map(({ stdout, boots }) => {
    expect(boots).toBe(false);
    return stdout.trim().split("\n");
  });
  expect([first.length, second.length]).toEqual([5, 5]);
  for (const [line, text] of first.entries()) expect(text).not.toBe(second[line] ?? "");
}, 400_000);

test("what is kept on a disk is there for the next guest, however that one begins", async () => {
  const start = async (name: string, script: string) => {
    await done("start", name);
    const said = await done("exec", name, "--", "sh", "-c", script);
    await done("stop", name);
    return said;
  };
  // Only the kernel of a template is told of its port.
  const KIND = "grep -q pcie_ports /proc/cmdline && echo resumed || echo booted";
  const create = (...flags: readonly string[]) => done("create", "--no-net", ...flags);
  await create("-n", "first", "--disk", "1G", "--no-template");
  expect(await start("first", `touch /usr/added; (${KIND}) | tee /said`)).toBe("booted\n");
  await done("snapshot", "first", "kept");
  await create("-n", "second", "--from", "kept");
  const next = `ls /usr/added; (${KIND}) >> /said; cat /said`;
  expect(await start("second", next)).toBe("/usr/added\nbooted\nresumed\n");
  expect(await start("second", next)).toBe("/usr/added\nbooted\nresumed\nresumed\n");
  await done("snapshot", "second", "again");
  await create("-n", "third", "--from", "again", "--no-template");
  expect(await start("third", next)).toBe("/usr/added\nbooted\nresumed\nresumed\nbooted\n");
}, 400_000);

test("a tree, a disk and mounts come each to its place, and what has no room boots", async () => {
  const system = join(world.scratch, "system");
  makeSystem(system, []);
  const mounts = Array.from({ length: 7 }, (_, index) => {
    const path = join(world.scratch, `mounted-${index}`);
    mkdirSync(path);
    writeFileSync(join(path, "name"), `${index} `);
    return path;
  });
  const flags = (count: number) =>
    mounts.slice(0, count).flatMap((path, index) => ["-v", `${path}:/m/${index}`]);
  const root = ["--no-net", "--root", system];
  const script =
    "cat /m/*/name; for each in /m/*; do echo seen > $each/seen; done; ls -d /home/ann";
  for (
    const [more, count, stays] of [
      [[], 7, false],
      [["--disk", "1G"], 6, false],
      [["--disk", "1G"], 7, true],
    ] as const
  ) {
    const { stdout, boots } = await guest([...root, ...more, ...flags(count)], script);
    const names = Array.from({ length: count }, (_, index) => `${index} `).join("");
    expect({ more, count, boots, stdout }).toEqual({
      more,
      count,
      boots: stays,
      stdout: `${names}/home/ann\n`,
    });
    for (const path of mounts.slice(0, count)) {
      expect(readFileSync(join(path, "seen"), "utf8")).toBe("seen\n");
      writeFileSync(join(path, "seen"), "");
    }
  }
}, 400_000);

test(
  "a sandbox with a name, and a run from a snapshot, leave one of their own size behind",
  async () => {
    const sizes = async () => {
      const all = JSON.parse((await sbx("template", "ls", "--json")).stdout) as KeptTemplate[];
      return all.map(({ manifest }) => manifest?.size);
    };
    const size = { cpus: 1, network: false, root: false };
    const leaves = async (memoryMiB: number) =>
      await until(
        "a template",
        async () => (await sizes()).some((each) => Bun.deepEquals(each, { ...size, memoryMiB })),
        100,
      );
    await done("create", "-n", "fourth", "--no-net", "-m", "192M", "--disk", "1G");
    await done("start", "fourth");
    await done("stop", "fourth");
    await leaves(192);
    const run = ["--no-net", "-m", "256M", "--from", "kept"];
    expect(await guest(run, "ls /usr/added")).toEqual({ boots: true, stdout: "/usr/added\n" });
    await leaves(256);
    expect(await guest(run, "ls /usr/added")).toEqual({ boots: false, stdout: "/usr/added\n" });
  },
  400_000,
);

test("a policy holds for it, as it does for one that boots", async () => {
  expect(await sbx("template", "build", "--no-root")).toMatchObject({ status: 0 });
  const { stdout, boots } = await guest(
    ["--disk", "1G", "--policy", "none", "--deny-with", "reject", "--allow", "allowed.test:80"],
    "cat /sys/class/net/eth0/operstate; curl -s -m 20 http://1.2.3.4/; echo $?",
  );
  expect({ boots, stdout }).toEqual({ boots: false, stdout: "up\n7\n" });
}, 400_000);

test("nothing of whoever made it is in it", async () => {
  const { status } = await world.run([SBX, "template", "build", "-m", "512M", "--no-root"], {
    env: { ...env, PLANT, HOME: join(world.scratch, PLANT) },
    limit: 300,
  });
  expect(status).toBe(0);
  expect(kept()).toHaveLength(5);
  for (const key of kept()) {
    for (const file of ["memory", "state", "manifest.json"]) {
      expect(readFileSync(join(templates, key, file)).includes(PLANT)).toBe(false);
    }
  }
}, 400_000);

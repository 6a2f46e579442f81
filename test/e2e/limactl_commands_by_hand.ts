/**
 * What else Lima's own limactl does to an instance of sbx's driver, and what becomes of its policy. Its disk is empty,
 * and no guest boots. scripts/test-lima runs this, as limactl takes minutes to build.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import {
  closeSync,
  openSync,
  readdirSync,
  readFileSync,
  statSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { type LimaHost, openLimaHost } from "../support/lima/host.ts";
import { writeHostileHead } from "../support/lima/hostile_disk.ts";
import { realLimactl } from "../support/lima/real_limactl.ts";
import { type Run, until } from "../support/process.ts";
import { openWorld, type World } from "../support/world.ts";

const LIMIT_MS = 600_000;

let world: World;
let host: LimaHost;
let drivers: string;
let template: string;
beforeAll(async () => {
  world = await openWorld();
  host = await openLimaHost(world, [realLimactl()]);
  drivers = (await host.sbx("lima", "driver")).stdout.trim();
  const disk = host.file("disk.img", "");
  truncateSync(disk, 8 << 20);
  const arch = process.arch === "arm64" ? "aarch64" : "x86_64";
  template = host.file(
    "template.yaml",
    JSON.stringify({
      images: [{ location: disk, arch }],
      disk: "64MiB",
      memory: "512MiB",
      firmware: { legacyBIOS: true },
      user: { name: "tester", uid: 1234 },
      // As templates have them.
      hostResolver: { hosts: { "host.docker.internal": "host.lima.internal" } },
      copyToHost: [{ guest: "/etc/hostname", host: join(host.home, "copied") }],
    }),
  );
}, LIMIT_MS);
afterAll(() => world?.[Symbol.asyncDispose]());

const limactl = (...args: readonly string[]): Promise<Run> =>
  host.run(["env", `LIMA_DRIVERS_PATH=${drivers}`, "limactl", ...args], { limit: 120 });

const dir = (name: string) => join(host.home, ".lima", name);

/** Starts it for as long as it takes to be under its policy; it boots nothing. */
async function begun(name: string, ...args: readonly string[]): Promise<Run> {
  const run = await host.sbx("lima", "start", name, ...args, "--start-timeout", "15s");
  await host.sbx("lima", "stop", "--force", name);
  return run;
}

async function policyOf(name: string): Promise<unknown> {
  return JSON.parse((await host.sbx("inspect", name)).stdout).spec.policy;
}

const NONE = { extends: "none", denyWith: "reject" };

test("factory-reset, clone and rename leave the policy that it was given", async () => {
  await begun("dev", template, "--policy", "none", "--deny-with", "reject");
  expect(await policyOf("dev")).toEqual(NONE);
  for (
    const [name, ...command] of [
      ["dev", "factory-reset", "dev"],
      ["two", "clone", "--tty=false", "dev", "two"],
      ["three", "rename", "--tty=false", "two", "three"],
    ] as const
  ) {
    const { status, stderr } = await limactl(...command);
    expect([command[0], status, status === 0 ? "" : stderr]).toEqual([command[0], 0, ""]);
    const { stderr: said } = await begun(name);
    expect(said).toContain("Waiting for the essential requirement");
    expect(await policyOf(name)).toEqual(NONE);
  }
  expect((await host.sbx("lima", "rm", "--force", "three")).status).toBe(0);
}, LIMIT_MS);

test(
  "of two starts at once no more than one has the guest, and neither harms the next",
  async () => {
    const machines = () =>
      readdirSync("/proc").filter((pid) => {
        try {
          const argv = readFileSync(`/proc/${pid}/cmdline`, "latin1");
          return argv.includes(`file=${dir("dev")}/disk\0`);
        } catch {
          return false; // it is no process, or ended
        }
      });
    await Promise.all([1, 2].map(() => limactl("start", "--tty=false", "--timeout=15s", "dev")));
    expect(machines().length).toBeLessThanOrEqual(1);
    await host.sbx("lima", "stop", "--force", "dev");
    await until("its end", () => machines().length === 0, 10);
    expect((await begun("dev")).stderr).toContain("Waiting for the essential requirement");
    expect(await policyOf("dev")).toEqual(NONE);
  },
  LIMIT_MS,
);

test("edit is refused what leads around it", async () => {
  const before = readFileSync(join(dir("dev"), "lima.yaml"), "utf8");
  for (
    const change of [
      ".plain = false",
      '.networks = [{"lima": "user-v2"}]',
      '.portForwards = [{"guestPort": 80, "static": true}]',
      '.copyToHost = [{"guest": "/etc/hostname", "host": "/tmp/x"}]',
    ]
  ) {
    const { status, stderr } = await limactl("edit", "--tty=false", "dev", "--set", change);
    expect([change, status === 0]).toEqual([change, false]);
    expect(stderr).toContain("Cannot run Lima's instance dev: ");
  }
  expect(readFileSync(join(dir("dev"), "lima.yaml"), "utf8")).toBe(before);
}, LIMIT_MS);

test("snapshots are not made", async () => {
  const { status, stderr } = await limactl("snapshot", "create", "dev", "--tag", "one");
  expect([status === 0, stderr]).toEqual([false, expect.stringContaining("unknown method")]);
}, LIMIT_MS);

test("what the guest writes onto its disk has limactl open nothing of this machine", async () => {
  const victim = host.file("victim", "precious");
  const disk = join(dir("dev"), "disk");
  writeHostileHead(disk, victim);
  const { status, stderr } = await begun("dev");
  expect([status === 0, stderr]).toEqual([
    false,
    expect.stringContaining("the disk begins as qcow2 does"),
  ]);
  expect(statSync(victim).size).toBe("precious".length);
  // As the hint has it.
  const file = openSync(disk, "r+");
  writeSync(file, new Uint8Array(512));
  closeSync(file);
  expect((await begun("dev")).stderr).toContain("Waiting for the essential requirement");
  expect((await host.sbx("lima", "rm", "--force", "dev")).status).toBe(0);
}, LIMIT_MS);

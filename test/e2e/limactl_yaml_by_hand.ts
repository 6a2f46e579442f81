/**
 * A yaml with `vmType: sbx` on Lima's own limactl, from nothing to READY, and to its power-off, with a guest as
 * distributions make them. scripts/test-lima runs this: where guests are emulated it takes minutes.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { debianTemplate } from "../support/lima/debian_template.ts";
import { type LimaHost, openLimaHost } from "../support/lima/host.ts";
import { realLimactl } from "../support/lima/real_limactl.ts";
import { PRIVATE, PUBLIC } from "../support/places.ts";
import type { Run } from "../support/process.ts";
import { contacts } from "../support/recorder.ts";
import { openWorld, type World } from "../support/world.ts";

const LIMIT_MS = 3_600_000;
const LIMIT_SECONDS = 3_000;

let world: World;
let host: LimaHost;
let drivers: string;
beforeAll(async () => {
  world = await openWorld();
  host = await openLimaHost(world, [realLimactl()]);
  drivers = (await host.sbx("lima", "driver")).stdout.trim();
}, LIMIT_MS);
afterAll(() => world?.[Symbol.asyncDispose]());

const limactl = (...args: readonly string[]): Promise<Run> =>
  host.run(["env", `LIMA_DRIVERS_PATH=${drivers}`, "limactl", ...args], { limit: LIMIT_SECONDS });

async function ok(...args: readonly string[]): Promise<Run> {
  const run = await limactl(...args);
  expect([args.join(" "), run.status, run.status === 0 ? "" : run.stderr])
    .toEqual([args.join(" "), 0, ""]);
  return run;
}

test("limactl makes a guest of it, says READY, enters it, and has it power off", async () => {
  const policy = host.file(
    "policy.yaml",
    `default: {outbound: deny, inbound: deny}
denyWith: reject
rules: ["allow@allowed.test:tcp:443"]
tls: {intercept: true, upstreamCa: [${world.ca}]}
`,
  );
  const yaml = host.file(
    "dev.yaml",
    JSON.stringify({
      ...debianTemplate(world),
      vmType: "sbx",
      plain: true,
      vmOpts: { sbx: { policy, log: true, stopTimeout: "10m" } },
    }),
  );
  const { stderr } = await ok("start", "--tty=false", `--timeout=${LIMIT_SECONDS}s`, yaml);
  expect(stderr).toContain("READY. Run ");
  const inside = async (command: string) =>
    (await limactl("shell", "--workdir=/", "dev", "sh", "-c", `${command} 2>&1`)).stdout;
  expect(await inside("id -un; ls /sys/class/net")).toBe("tester\neth0\nlo\n");
  expect(await inside("cloud-init status --wait --long")).toMatch(/^status: done$/m);
  // It trusts who answers, and is answered by the server that the policy names.
  expect(await inside("curl -sS https://allowed.test/")).toStartWith(`hello from ${PUBLIC}:443`);
  expect(await inside(`curl -sS -m 20 http://${PRIVATE[0]}/ || echo status $?`)).toMatch(
    /status \d+\n$/,
  );
  expect(contacts(await world.internet.report(), PRIVATE)).toEqual({});
  const dir = join(host.home, ".lima/dev");
  const journal = readFileSync(join(dir, "sbx.jsonl"), "utf8").trim().split("\n");
  const denied = journal.map((line) => JSON.parse(line)).filter(({ event }) => event === "denied");
  expect(denied.map(({ destination }) => destination)).toContain(`${PRIVATE[0]}:80`);
  await inside("echo written | sudo tee /mark");
  const stopped = await ok("stop", "dev");
  expect(stopped.stderr).not.toMatch(/level=(?:error|fatal)|FATA|ERRO/);
  expect((await ok("list", "dev", "--format={{.Status}}")).stdout).toBe("Stopped\n");
  // It powered off: what it had not written is on its disk, and its file system is clean.
  const disk = join(dir, "disk");
  expect(spawnSync("/usr/sbin/debugfs", ["-R", "cat /mark", disk]).stdout.toString()).toBe(
    "written\n",
  );
  expect(spawnSync("/usr/sbin/dumpe2fs", ["-h", disk]).stdout.toString()).toMatch(
    /Filesystem state: +clean/,
  );
  await ok("delete", "dev");
  expect((await host.sbx("ls", "-aq")).stdout).toBe("");
}, LIMIT_MS);

test("without the driver limactl starts nothing of it", async () => {
  const images = [{ location: host.file("disk.img", "no disk"), arch: "x86_64" }];
  const yaml = host.file("alone.yaml", JSON.stringify({ images, vmType: "sbx", plain: true }));
  const { status, stderr } = await host.run(["limactl", "start", "--tty=false", yaml], {
    limit: 120,
  });
  expect([status === 0, stderr]).toEqual([
    false,
    expect.stringMatching(/is not a registered driver/),
  ]);
}, LIMIT_MS);

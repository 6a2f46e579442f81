/**
 * A Debian guest under Lima's driver, with Lima's part played. scripts/test-lima runs this: where guests are
 * emulated it takes minutes.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { makeDebianGuest } from "../support/lima/debian_guest.ts";
import { type LimaHost, openLimaHost } from "../support/lima/host.ts";
import { PRIVATE, PUBLIC } from "../support/places.ts";
import { until } from "../support/process.ts";
import { contacts } from "../support/recorder.ts";
import { openWorld, type World } from "../support/world.ts";

const LIMIT_MS = 900_000;

let world: World;
let host: LimaHost;
beforeAll(async () => {
  world = await openWorld();
  host = await openLimaHost(world);
}, LIMIT_MS);
afterAll(() => world?.[Symbol.asyncDispose]());

test(
  "Debian boots, finds its network, trusts, reaches what it may, and powers off when asked",
  async () => {
    const policy = join(world.scratch, "debian.yaml");
    writeFileSync(
      policy,
      `default: {outbound: deny, inbound: allow}
denyWith: reject
rules: ["allow@allowed.test:tcp:443"]
tls: {intercept: true, upstreamCa: [${world.ca}]}
`,
    );
    const instance = host.instance(
      "debian",
      { vmOpts: { sbx: { policy, log: true, stopTimeout: "10m" } } },
      makeDebianGuest(),
    );
    const lima = await instance.open();
    await instance.prepare(lima);
    await lima.call("CreateDisk");
    const guest = lima.start();
    expect((await guest.first).error).toBe("");
    // In the guest, by its own tools.
    const inside = async (command: string) => (await instance.ssh(command)).stdout;
    expect(await inside("networkctl --no-pager status eth0")).toMatch(
      /192.168.5.15 \(DHCP4 via 192.168.5.2\)/,
    );
    expect(await inside("ls /sys/class/net; cat /sys/class/net/eth0/mtu")).toBe("eth0\nlo\n1500\n");
    expect(await inside("resolvectl --no-pager dns eth0")).toContain("192.168.5.2");
    expect(await inside("curl -sS https://allowed.test/ 2>&1")).toStartWith(
      `hello from ${PUBLIC}:443`,
    );
    expect((await instance.ssh(`curl -sS -m 5 http://${PRIVATE[0]}/`)).status).not.toBe(0);
    expect(contacts(await world.internet.report(), PRIVATE)).toEqual({});
    await inside("echo written >/root/mark");
    expect((await lima.call("Stop")).error).toBe("");
    const said = await guest.over;
    expect(said.map(({ error }) => error).filter(Boolean)).toEqual([]);
    // It was not ended: what it had not written is on its disk, and its file system is clean.
    const disk = join(instance.dir, "disk");
    expect(spawnSync("/usr/sbin/debugfs", ["-R", "cat /root/mark", disk]).stdout.toString()).toBe(
      "written\n",
    );
    expect(spawnSync("/usr/sbin/dumpe2fs", ["-h", disk]).stdout.toString()).toMatch(
      /Filesystem state: +clean/,
    );
    await lima.end("leave");
  },
  LIMIT_MS,
);

const missing = ["/usr/share/OVMF", "/usr/sbin/mkfs.vfat", "/usr/bin/mcopy"]
  .filter((path) => !existsSync(path));

test.skipIf(process.arch !== "x64" || missing.length > 0)(
  "UEFI firmware starts what the disk has (needs the packages ovmf, dosfstools and mtools)",
  async () => {
    const instance = host.instance("uefi", { vmOpts: { sbx: { policy: "none", log: true } } });
    // Nothing to boot but the disk, where the firmware's shell finds a script.
    rmSync(join(instance.dir, "kernel"));
    const [image, script] = [join(instance.dir, "image"), join(world.scratch, "startup.nsh")];
    writeFileSync(image, "");
    truncateSync(image, 64 << 20);
    writeFileSync(script, "echo started-by-uefi\r\n");
    execFileSync("/usr/sbin/mkfs.vfat", [image], { stdio: "ignore" });
    execFileSync("mcopy", ["-i", image, script, "::startup.nsh"]);
    const lima = await instance.open();
    await instance.prepare(lima);
    await lima.call("CreateDisk");
    expect((await lima.start().first).error).toBe("");
    await until("the script to run", async () => {
      return (await host.sbx("logs", "uefi")).stdout.includes("\nstarted-by-uefi");
    }, 300);
    await lima.end("kill");
  },
  LIMIT_MS,
);

/**
 * arm64, as far as it goes in a minute on another machine: sbx for it runs where a processor is emulated for
 * one program, and its kernel boots its agent where one is for a whole machine. scripts/test-arm64 has both together.
 */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { configuration, preparation } from "../../lib/guest/configuration.ts";
import { QemuGuest } from "../../lib/guest/qemu/guest.ts";
import { launchOf, NO_MOUNTS } from "../../lib/guest/qemu/launch_of.ts";
import { packTar } from "../../lib/guest/root/tar.ts";
import { caller } from "../../lib/host/caller.ts";
import { LINUX_QEMU } from "../../lib/host/linux/qemu.ts";
import { spawnQemu } from "../../lib/host/qemu_process.ts";
import { usableAsset } from "../../lib/host/usable_asset.ts";
import { outcome } from "../guest/agent_process.ts";
import { PLAN } from "../guest/plan.ts";
import { addStub } from "../../scripts/binary/stub/add_stub.ts";
import { stubOf } from "../../scripts/binary/stub/code.ts";
import type { Target } from "../../scripts/binary/target.ts";
import { buildArgumentCount, buildGo } from "../support/build.ts";
import { run } from "../support/process.ts";
import { ROOT } from "../support/world.ts";

const ARM64: Target = { os: "linux", machine: "arm64" };
const PARTS = join(ROOT, "vendor/bin/linux-arm64");

describe.skipIf(process.arch === "arm64")("on another machine", () => {
  beforeAll(() => {
    const { status } = spawnSync(join(ROOT, "scripts/build"), ["arm64"], {
      stdio: ["ignore", "inherit", "inherit"],
    });
    expect(status).toBe(0);
  }, 1_800_000);

  const sbx = (...args: string[]) =>
    run(["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu", "dist/sbx-arm64", ...args], {
      cwd: ROOT,
      limit: 280,
    });

  test("sbx for arm64 says what it is", async () => {
    const { status, stdout } = await sbx("version");
    expect(status).toBe(0);
    expect(stdout).toMatch(/^sbx +\d+\.\d+\.\d+/);
    expect(stdout).toMatch(/^kernel +linux-image-\S+-arm64_/m);
  }, 300_000);

  test("it decides as sbx does everywhere", async () => {
    const place = mkdtempSync(join(tmpdir(), "sbx-arm64-"));
    try {
      const policy = join(place, "policy.yaml");
      const expected = ["allow tcp api.example.com:443", "deny tcp 10.0.0.5:5432"];
      const rules = "default: deny\nrules: [allow@api.example.com:tcp:443]\nexpect:\n";
      writeFileSync(policy, rules + expected.map((line) => `  - ${line}\n`).join(""));
      expect(await sbx("policy", "test", policy)).toMatchObject({
        status: 0,
        stdout: expect.stringContaining("2 passed, 0 failed"),
      });
      writeFileSync(policy, `${rules}  - allow tcp 10.0.0.5:5432\n`);
      expect((await sbx("policy", "test", policy)).status).not.toBe(0);
    } finally {
      rmSync(place, { recursive: true });
    }
  }, 600_000);

  describe("the kernel for arm64 boots the agent for arm64, which", () => {
    let guest: QemuGuest;
    const exec = (argv: readonly string[]) => outcome(guest.exec({ argv, env: {}, stdin: false }));
    afterAll(() => guest?.stop());

    beforeAll(async () => {
      const program = (name: string, data: Uint8Array) => ({
        path: `/bin/${name}`,
        data,
        mode: 0o755,
      });
      const programs = [
        program("agent", readFileSync(join(PARTS, "agent"))),
        program("surroundings", readFileSync(buildGo("surroundings", "", ARM64))),
        program("count", addStub(readFileSync(buildArgumentCount()), stubOf("arm64"))),
      ];
      const root = { ...PLAN.root, shares: [], links: {}, home: "/root", env: { PATH: "/bin" } };
      const plan = { ...PLAN, root, mounts: [] };
      const launch = launchOf(
        plan,
        undefined,
        {
          architecture: "arm64",
          platform: LINUX_QEMU,
          program: "/usr/bin/qemu-system-aarch64",
          found: { accelerator: "tcg", reason: "it is another machine's" },
          launcher: await usableAsset("netstack", () => {}),
          kernel: join(PARTS, "vmlinux"),
          initramfs: join(PARTS, "initramfs"),
          tscKHz: 0,
        },
        NO_MOUNTS,
        caller(),
        () => "public",
      );
      guest = new QemuGuest(spawnQemu(launch), "tcg");
      await Promise.all([
        guest.prepare(preparation(plan, []), packTar(programs)),
        guest.configure(
          configuration(plan, { roots: [] }, new Uint8Array(32), NO_MOUNTS),
          packTar([]),
        ),
      ]);
    }, 300_000);

    test("runs a program", async () => {
      expect(await exec(["agent"])).toMatchObject({
        code: 1,
        stderr: "agent: not the first process of a machine\n",
      });
    }, 100_000);

    const FAULTS: Readonly<Record<string, string>> = {
      removed: "the working directory was removed",
      unmounted: "the working directory is outside of the root directory",
      deep: "the path of the working directory is too long",
      threads: "it takes 16 threads, and fewer may be started",
      stack: "it takes 256 KiB of stack, and the limit is lower",
      data: "it takes 384 MiB for data, and the limit is lower",
      space: "it takes 512 MiB of address space, and the limit is lower",
      // Everything after these lacks it, too.
      "other-proc": "/proc is of another PID namespace",
      "no-proc": "/proc is not mounted",
    };
    const inside = (fault: string) =>
      exec(["surroundings", fault, "/bin/count", "one", "two", "three"]);

    test("runs one with sbx's entry stub", async () => {
      expect(await inside("none")).toMatchObject({ code: 4, stderr: "" });
    }, 100_000);

    test.each(Object.entries(FAULTS))("runs that with a fault: %s", async (fault, state) => {
      const { code, stderr } = await inside(fault);
      expect([code, stderr.split("\n")]).toEqual([
        125,
        [`sbx: cannot start: ${state}`, expect.stringMatching(/^hint: /), ""],
      ]);
    }, 100_000);
  });
});

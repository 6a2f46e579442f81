/**
 * arm64, as far as it goes in a minute on another machine: sbx for it runs where a processor is emulated for
 * one program, and its kernel boots its agent where one is for a whole machine.
 */
import { beforeAll, describe, expect, test } from "bun:test";
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
import { spawnQemu } from "../../lib/host/qemu_process.ts";
import { usableAsset } from "../../lib/host/usable_asset.ts";
import { outcome } from "../guest/agent_process.ts";
import { PLAN } from "../guest/plan.ts";
import { run } from "../support/process.ts";
import { ROOT } from "../support/world.ts";

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

  test("the kernel for arm64 boots the agent for arm64, which runs a program", async () => {
    // What the agent says when it is not the first process is all that this root's only program can do.
    const program = { path: "/bin/tool", data: readFileSync(join(PARTS, "agent")), mode: 0o755 };
    const root = { ...PLAN.root, shares: [], links: {}, home: "/root", env: { PATH: "/bin" } };
    const plan = { ...PLAN, root, mounts: [] };
    const launch = launchOf(
      plan,
      undefined,
      {
        architecture: "arm64",
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
    const guest = new QemuGuest(spawnQemu(launch), "tcg");
    try {
      await Promise.all([
        guest.prepare(preparation(plan, []), packTar([program])),
        guest.configure(
          configuration(plan, { roots: [] }, new Uint8Array(32), NO_MOUNTS),
          packTar([]),
        ),
      ]);
      const command = guest.exec({ argv: ["tool"], env: {}, stdin: false });
      expect(await outcome(command)).toMatchObject({
        code: 1,
        stderr: "agent: not the first process of a machine\n",
      });
    } finally {
      await guest.stop();
    }
  }, 300_000);
});

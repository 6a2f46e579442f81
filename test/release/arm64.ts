/**
 * What sbx finds and holds to on arm64, where there is KVM for it; what it does there, each_part.ts asks. Run by
 * scripts/test-arm64, inside a machine that it emulates.
 */
import { afterAll, expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import process from "node:process";
import { run } from "../support/process.ts";
import { ROOT, SBX } from "../support/world.ts";

const PATIENCE = 900;

/** With the tests, compiled, of the packages of netstack that are about the kernel below it. */
const PROGRAMS = process.env["SBX_TEST_PROGRAMS"] ?? "";
const TESTED = [
  "netstack",
  ...["dial", "launch", "process", "verdict", "watch"].map((name) => `netstack/internal/${name}`),
];

const place = mkdtempSync(join(tmpdir(), "sbx-arm64-"));
afterAll(() => rmSync(place, { recursive: true, force: true }));
const env = { XDG_CACHE_HOME: join(place, "cache") };

test("the doctor finds nothing to mend, and KVM", async () => {
  const { status, stdout } = await run([SBX, "doctor", "--json"], { limit: PATIENCE, env });
  const { findings } = JSON.parse(stdout) as {
    findings: readonly { name: string; state: string; found: string }[];
  };
  expect([status, findings.filter(({ state }) => state !== "ok")]).toEqual([0, []]);
  expect(Object.fromEntries(findings.map(({ name, found }) => [name, found]))).toMatchObject({
    platform: "linux arm64",
    accelerator: "kvm",
    mounts: expect.stringContaining("virtiofs"),
    privileges: expect.stringContaining("Landlock keeps it"),
    guest: expect.stringContaining("one started"),
  });
}, 1_000_000);

// Its numbers of system calls are others, and its filters of them.
test.each(TESTED)(
  "what netstack asks of the kernel is as its own tests say: %s",
  async (name) => {
    const { status, stdout } = await run([join(PROGRAMS, `${basename(name)}.test`)], {
      cwd: join(ROOT, "vendor", name),
      limit: PATIENCE,
    });
    expect([status, stdout]).toEqual([0, "PASS\n"]);
  },
  1_000_000,
);

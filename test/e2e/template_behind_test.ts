/**
 * A template that was missing is made behind whoever missed it, who does not wait, and by this machine's programs.
 */
import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { qemuProgram } from "../../lib/guest/qemu/args.ts";
import { run, until } from "../support/process.ts";
import { SBX } from "../support/world.ts";

const place = mkdtempSync(join(tmpdir(), "sbx-template-behind-"));
afterAll(() => rmSync(place, { recursive: true, force: true }));

/** A guest that boots is prepared; one that goes on from a template was. */
const boots = (stderr: string) => stderr.includes("(prepare)");

const isKey = (name: string) => /^[0-9a-f]{64}$/.test(name);

test(
  "a guest that boots for want of a template leaves one behind, and nobody waits for it",
  async () => {
    const own = { env: { XDG_CACHE_HOME: join(place, "behind"), SBX_TRACE: "agent" }, limit: 300 };
    const sbx = (...flags: readonly string[]) =>
      run([SBX, "run", "--no-net", ...flags, "--", "echo", "here"], own);
    expect(boots((await sbx("--no-template")).stderr)).toBe(true);
    const parts = join(place, "behind/sbx/templates");
    expect(existsSync(parts)).toBe(false);
    expect(boots((await sbx()).stderr)).toBe(true);
    await until("a template", () => existsSync(parts) && readdirSync(parts).some(isKey), 100);
    const { status, stdout, stderr } = await sbx();
    expect({ status, stdout, boots: boots(stderr) })
      .toEqual({ status: 0, stdout: "here\n", boots: false });
  },
  400_000,
);

test("what is made behind a run is made by no program that its guest can write to", async () => {
  const tools = join(place, "tools");
  mkdirSync(tools);
  const marker = join(place, "called");
  const name = qemuProgram(process.arch === "arm64" ? "arm64" : "x64");
  writeFileSync(join(tools, name), `#!/bin/sh\ntouch ${marker}\nexit 1\n`, { mode: 0o755 });
  const own = {
    XDG_CACHE_HOME: join(place, "distrusted"),
    PATH: `${tools}:${process.env["PATH"]}`,
  };
  const argv = [SBX, "run", "--no-net", "-v", `${tools}:/tools`, "--", "echo", "here"];
  expect(await run(argv, { env: own, limit: 300 })).toMatchObject({ status: 0, stdout: "here\n" });
  const parts = join(place, "distrusted/sbx/templates");
  await until("a template", () => existsSync(parts) && readdirSync(parts).some(isKey), 100);
  expect(existsSync(marker)).toBe(false);
}, 400_000);

import { afterAll, expect, test } from "bun:test";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { arch, tmpdir } from "node:os";
import { join } from "node:path";
import { findAccelerator, probeImage } from "../../lib/guest/accelerator.ts";
import { assetPath } from "../../lib/host/assets.ts";
import { run } from "../support/process.ts";

const directory = mkdtempSync(join(tmpdir(), "sbx-accelerator-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

test("the probe's guest reaches long mode, takes its exception and says so", async () => {
  const image = join(directory, "probe.bin");
  writeFileSync(image, probeImage());
  const machine = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"];
  const devices = ["-bios", image, "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"];
  const argv = ["qemu-system-x86_64", ...machine, "-M", "microvm", "-accel", "tcg", "-m", "16"];
  expect(await run([...argv, ...devices])).toMatchObject({ status: 33, stderr: "" });
});

test("what was found is remembered for this boot of the host, and read back", async () => {
  const cache = join(directory, "cache");
  const host = { assetPath, cacheDir: () => cache };
  const architecture = arch() === "arm64" ? "arm64" : "x64";
  const found = await findAccelerator(architecture, host);
  expect(found.accelerator === "tcg").toBe(found.reason !== "");
  expect(await findAccelerator(architecture, host)).toEqual(found);
  if (!existsSync(cache)) return; // no /dev/kvm, no probe, nothing to remember
  const [name = ""] = readdirSync(cache).filter((file) => file.startsWith("accelerator-"));
  expect(JSON.parse(readFileSync(join(cache, name), "utf8"))).toEqual(found);
  writeFileSync(join(cache, name), "{damaged");
  expect(await findAccelerator(architecture, host)).toEqual(found);
});

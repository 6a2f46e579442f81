import { afterAll, expect, test } from "bun:test";
import {
  accessSync,
  constants,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { arch, tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { findAccelerator, probeImage } from "../../lib/guest/qemu/accelerator.ts";
import { assetPath } from "../../lib/host/assets.ts";
import { run } from "../support/process.ts";

const directory = mkdtempSync(join(tmpdir(), "sbx-accelerator-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** argv of QEMU with the probe for its firmware. */
function probing(accelerator: "kvm" | "tcg"): string[] {
  const image = join(directory, "probe.bin");
  writeFileSync(image, probeImage());
  const machine = ["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"];
  const devices = ["-bios", image, "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04"];
  const argv = ["qemu-system-x86_64", ...machine, "-M", "microvm", "-accel", accelerator];
  return [...argv, "-m", "16", ...devices];
}

test("the probe's guest reaches long mode, takes its exception and says so", async () => {
  expect(await run(probing("tcg"))).toMatchObject({ status: 33, stderr: "" });
});

/** What of /dev/kvm there is, and what then is found, in a /dev of the test's own. */
const MACHINES: readonly (readonly [string, prepare: string, reason: string])[] = [
  ["there is no /dev/kvm", "true", "this machine has no /dev/kvm"],
  [
    "/dev/kvm may not be opened",
    "install -m 0 /dev/null $DEV/kvm",
    "this user may not open /dev/kvm",
  ],
  [
    "/dev/kvm opens and is no KVM",
    "touch $DEV/kvm && mount --bind /dev/null $DEV/kvm",
    "/dev/kvm opens but cannot run a guest",
  ],
];

test.each(MACHINES)(
  "where %s, guests are emulated, and it says why",
  async (_, prepare, reason) => {
    const cache = mkdtempSync(join(directory, "cache-"));
    const script = `
set -e
DEV=$(mktemp -d ${directory}/dev-XXXX)
mount -t tmpfs none $DEV
for each in null zero urandom; do touch $DEV/$each; mount --bind /dev/$each $DEV/$each; done
${prepare}
mount --rbind $DEV /dev
exec setpriv --bounding-set=-all --inh-caps=-all "$@"`;
    const fixture = [process.execPath, join(import.meta.dirname, "accelerator_fixture.ts"), cache];
    const { status, stdout, stderr } = await run(
      ["unshare", "-Urm", "sh", "-c", script, "sh", ...fixture],
    );
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(JSON.parse(stdout)).toEqual({ accelerator: "tcg", reason });
  },
);

/** Where it cannot be opened there is no probe, and nothing to remember. */
const opens = (() => {
  try {
    accessSync("/dev/kvm", constants.R_OK | constants.W_OK);
    return true;
  } catch {
    return false;
  }
})();

test.skipIf(!opens || arch() !== "x64")(
  "where /dev/kvm opens, what is found is what QEMU does with it",
  async () => {
    const host = { assetPath, cacheDir: () => mkdtempSync(join(directory, "asked-")) };
    const { accelerator } = await findAccelerator("x64", host);
    // A broken one hangs.
    const works = await run(probing("kvm"), { limit: 5 }).then(
      ({ status }) => status === 33,
      () => false,
    );
    expect(accelerator).toBe(works ? "kvm" : "tcg");
  },
);

test.skipIf(!opens || arch() !== "x64")(
  "what was found is remembered for this boot of the host, and read back",
  async () => {
    const cache = join(directory, "cache");
    const host = { assetPath, cacheDir: () => cache };
    const found = await findAccelerator("x64", host);
    expect(found.accelerator === "tcg").toBe(found.reason !== "");
    expect(await findAccelerator("x64", host)).toEqual(found);
    const [name = ""] = readdirSync(cache).filter((file) => file.startsWith("accelerator-"));
    expect(JSON.parse(readFileSync(join(cache, name), "utf8"))).toEqual(found);
    writeFileSync(join(cache, name), "{damaged");
    expect(await findAccelerator("x64", host)).toEqual(found);
  },
);

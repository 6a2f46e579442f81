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
import { findAccelerator } from "../../lib/guest/qemu/accelerator.ts";
import { probeGuest } from "../../lib/guest/qemu/probe.ts";
import { type Accelerator, type Architecture, qemuProgram } from "../../lib/guest/qemu/args.ts";
import { assetPath } from "../../lib/host/assets.ts";
import { bootId } from "../../lib/host/caller.ts";
import { LINUX_QEMU } from "../../lib/host/linux/qemu.ts";
import { MAC_QEMU } from "../../lib/host/macos/qemu.ts";
import { run } from "../support/process.ts";

const directory = mkdtempSync(join(tmpdir(), "sbx-accelerator-"));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const HOST = { assetPath, platform: LINUX_QEMU, bootId };

/** argv of QEMU with the probe for its firmware, as for one accelerator and by another. */
function probing(
  architecture: Architecture,
  kind: Accelerator,
  by: Accelerator = kind,
): { readonly argv: string[]; readonly success: number } {
  const path = join(directory, `${architecture}-${kind}.bin`);
  const { image, argv, success } = probeGuest(architecture, kind, path);
  writeFileSync(path, image);
  const words = argv.map((word, at) => {
    if (argv[at - 1] === "-cpu" && by === "tcg") return "max";
    return argv[at - 1] === "-accel" ? by : word;
  });
  return { argv: [qemuProgram(architecture), ...words], success };
}

test.each(
  [
    ["x64", "tcg"],
    ["x64", "hvf"],
    ["arm64", "tcg"],
    ["arm64", "hvf"],
  ] as const,
)("the probe's guest on %s does its work and says so, in the machine for %s", async (
  architecture,
  kind,
) => {
  const { argv, success } = probing(architecture, kind, "tcg");
  expect(await run(argv)).toMatchObject({ status: success, stderr: "" });
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
    expect(await foundWith(prepare, "x64")).toEqual({ accelerator: "tcg", reason });
  },
);

const ALL = "0 0 4294967295";
const ROOT = { uid: 0, uidMap: ALL, gidMap: ALL, setsGroups: true };
const REFUSED = "root alone may open /dev/kvm, and its QEMU becomes another user";

// For arm64, where nothing is tried then.
test.each(
  [
    ["600", { accelerator: "tcg", reason: REFUSED }],
    ["660", { accelerator: "tcg", reason: REFUSED }],
    ["666", { accelerator: "kvm", reason: "" }],
  ] as const,
)("root has KVM when its QEMU may have it: /dev/kvm is root's, of mode %s", async (mode, found) => {
  const prepare = `install -m ${mode} /dev/null $DEV/kvm`;
  expect(await foundWith(prepare, "arm64", JSON.stringify(ROOT))).toEqual(found);
});

async function foundWith(prepare: string, ...args: readonly string[]): Promise<unknown> {
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
    ["unshare", "-Urm", "sh", "-c", script, "sh", ...fixture, ...args],
  );
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  return JSON.parse(stdout);
}

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
    const host = { ...HOST, cacheDir: () => mkdtempSync(join(directory, "asked-")) };
    const { accelerator } = await findAccelerator("x64", host);
    // A broken one hangs.
    const { argv, success } = probing("x64", "kvm");
    const works = await run(argv, { limit: 5 }).then(
      ({ status }) => status === success,
      () => false,
    );
    expect(accelerator).toBe(works ? "kvm" : "tcg");
  },
);

test.skipIf(!opens || arch() !== "x64")(
  "what was found is remembered for this boot of the host, and read back",
  async () => {
    const cache = join(directory, "cache");
    const host = { ...HOST, cacheDir: () => cache };
    const found = await findAccelerator("x64", host);
    expect(found.accelerator === "tcg").toBe(found.reason !== "");
    expect(await findAccelerator("x64", host)).toEqual(found);
    const [name = ""] = readdirSync(cache).filter((file) => file.startsWith("accelerator-"));
    expect(JSON.parse(readFileSync(join(cache, name), "utf8"))).toEqual(found);
    writeFileSync(join(cache, name), "{damaged");
    expect(await findAccelerator("x64", host)).toEqual(found);
  },
);

/** QEMU as a Mac has it: `-accel hvf` is emulation here, or is refused in its words. */
function macQemu(does: string): string {
  const path = join(mkdtempSync(join(directory, "mac-")), "qemu-system-aarch64");
  writeFileSync(path, `#!/bin/sh\n${does}\n`, { mode: 0o755 });
  return path;
}

const EMULATED = 'set -- $(echo "$*" | sed "s/-accel hvf/-accel tcg/; s/-cpu host/-cpu max/")\n' +
  `exec qemu-system-aarch64 "$@"`;

test.each(
  [
    ["runs guests by HVF", EMULATED, { accelerator: "hvf", reason: "" }],
    [
      "is not signed for HVF",
      "echo 'qemu-system-aarch64: Error: HV_DENIED\x1b[2J' >&2; exit 1",
      {
        accelerator: "tcg",
        reason:
          "QEMU cannot use Hypervisor.framework: qemu-system-aarch64: Error: HV_DENIED\\u{1b}[2J",
      },
    ],
    [
      "ends well with nothing done",
      "exit 3",
      {
        accelerator: "tcg",
        reason: "QEMU cannot use Hypervisor.framework: it does not run a guest",
      },
    ],
  ] as const,
)("on a Mac, what is found of a QEMU that %s is kept for it", async (_, does, found) => {
  const cache = mkdtempSync(join(directory, "cache-"));
  // The launcher of this system stands in for that of macOS, which holds a program to nothing.
  const launcher = macQemu('while [ "$1" != -- ]; do shift; done; shift; exec "$@"');
  const host = {
    platform: MAC_QEMU,
    bootId,
    assetPath: () => Promise.resolve(launcher),
    cacheDir: () => cache,
  };
  const program = macQemu(does);
  expect(await findAccelerator("arm64", host, program)).toEqual(found);
  const kept = readdirSync(cache).filter((file) => file.startsWith("accelerator-"));
  expect(kept).toHaveLength(1);
  expect(await findAccelerator("arm64", host, program)).toEqual(found);
  const other = macQemu("exit 1");
  expect((await findAccelerator("arm64", host, other)).accelerator).toBe("tcg");
});

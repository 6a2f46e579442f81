import { expect, test } from "bun:test";
import type { GuestPlan } from "../../lib/guest/plan.ts";
import type { Cable } from "../../lib/guest/provider.ts";
import { servedBy } from "../../lib/guest/qemu/template_machine.ts";
import { LINUX_QEMU } from "../../lib/host/linux/qemu.ts";
import { MAC_QEMU } from "../../lib/host/macos/qemu.ts";
import { NETWORK, PLAN } from "./plan.ts";

const DISK = { bytes: 1 << 30 };
const TREE: GuestPlan["root"] = {
  ...PLAN.root,
  shares: [{ path: "/srv/debian", at: "/", isPrivate: true }],
};
const MOUNT = { host: "/data/in", guest: "/in", readOnly: true };

function served(plan: Partial<GuestPlan>, cable?: Cable, platform = LINUX_QEMU) {
  return servedBy({ ...PLAN, template: true, ...plan }, cable, platform);
}

test("a template has the root, unless that is on a disk or somebody's tree", () => {
  const { cpus, memoryMiB, root } = PLAN;
  expect(served({})).toEqual({ cpus, memoryMiB, root });
  expect(served({ network: NETWORK }, { fd: 3 })).toMatchObject({ root, network: NETWORK });
  for (const own of [{ disk: DISK }, { root: TREE }, { root: TREE, disk: DISK }]) {
    expect(served(own)).toEqual({ cpus, memoryMiB });
  }
});

test("what comes to a guest once it goes on has room behind one port, or it boots", () => {
  const mounts = (count: number) => Array<typeof MOUNT>(count).fill(MOUNT);
  for (
    const [plan, most] of [
      [{}, 8],
      [{ root: TREE }, 7],
      [{ root: TREE, disk: DISK }, 6],
      [{ disk: DISK }, 5], // beside two shares of the root
    ] as const
  ) {
    expect(served({ ...plan, mounts: mounts(most) })).not.toBeNull();
    expect(served({ ...plan, mounts: mounts(most + 1) })).toBeNull();
  }
});

test("none serves who wants none, what is too large, another cable, or a system without", () => {
  expect(served({ template: false })).toBeNull();
  expect(served({ memoryMiB: 16 << 10 })).not.toBeNull();
  expect(served({ memoryMiB: (16 << 10) + 1 })).toBeNull();
  expect(served({ network: NETWORK }, { socket: "/run/net" })).toBeNull();
  expect(served({}, undefined, MAC_QEMU)).toBeNull();
  expect(served({ root: TREE }, undefined, MAC_QEMU)).toBeNull();
});

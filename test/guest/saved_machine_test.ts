/** What a saved machine depends on: where any of it is another, it is not gone on from, and QEMU is not even started. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GuestPlan } from "../../lib/guest/plan.ts";
import type { QemuHost } from "../../lib/guest/qemu/launch.ts";
import type { Machine } from "../../lib/guest/qemu/machine.ts";
import { goOnFrom, machineKey } from "../../lib/guest/qemu/saved_machine.ts";
import type { TransportFinding } from "../../lib/guest/qemu/transport.ts";
import { LINUX_QEMU } from "../../lib/host/linux/qemu.ts";
import { NETWORK, PLAN } from "./plan.ts";

const scratch = mkdtempSync(join(tmpdir(), "sbx-machine-"));
afterAll(() => rmSync(scratch, { recursive: true }));
const at = (name: string) => join(scratch, name);
const PROGRAMS = ["qemu", "kernel", "initramfs", "virtiofsd"] as const;
beforeAll(() => {
  for (const name of PROGRAMS) writeFileSync(at(name), name);
  for (const name of ["usr", "work", "other"]) mkdirSync(at(name));
});

const ROOT = { uid: 0, capabilities: -1n, uidMap: "0 0 4294967295", gidMap: "0 0 4294967295" };

interface Kept {
  readonly plan: GuestPlan & { readonly saving: NonNullable<GuestPlan["saving"]> };
  readonly machine: Machine;
  readonly by: TransportFinding;
  readonly host: QemuHost;
  readonly cable: { readonly fd: number } | undefined;
}

let spawned = 0;

function kept(): Kept {
  return {
    plan: {
      ...PLAN,
      root: { ...PLAN.root, shares: [{ path: at("usr"), at: "/usr" }] },
      mounts: [{ host: at("work"), guest: "/work", readOnly: false }],
      disk: { bytes: 1 << 30, path: at("disk"), owner: "0".repeat(32) },
      saving: { state: at("saving") },
      network: NETWORK,
    },
    machine: {
      architecture: "x64",
      platform: LINUX_QEMU,
      program: at("qemu"),
      found: { accelerator: "tcg", reason: "no reason" },
      launcher: "/cache/netstack",
      kernel: at("kernel"),
      initramfs: at("initramfs"),
      tscKHz: 2_000_000,
    },
    by: {
      transport: "virtiofs",
      daemon: { path: at("virtiofsd"), dialect: "rust", version: "", isSavable: true },
      files: 1 << 20,
    },
    host: {
      build: "1",
      caller: () => ({ ...ROOT, setsGroups: true }),
      spawn: () => (spawned++, undefined),
    } as unknown as QemuHost,
    cable: { fd: 9 },
  };
}

const keyOf = ({ plan, cable, machine, by, host }: Kept) =>
  machineKey(plan, cable, machine, by, host);

const file = (text: string) => ({
  entry: { path: "/run/sbx/file0", data: new TextEncoder().encode(text), mode: 0o444 },
  at: "/etc/app",
});

test("what is a guest's own, and what is measured anew each time, is no part of it", async () => {
  const key = await keyOf(kept());
  const { plan, machine, ...others } = kept();
  const another = {
    ...plan,
    hostname: "other",
    machineId: "f".repeat(32),
    disk: { bytes: 1 << 30, path: at("another"), owner: "1".repeat(32) },
    saving: {
      state: at("elsewhere"),
      from: { key: "", calls: 3, tscKHz: 1, state: at("machine") },
    },
    network: { ...NETWORK, search: ["example.net"] },
  };
  expect(await keyOf({ ...others, machine: { ...machine, tscKHz: 2_000_100 }, plan: another }))
    .toBe(key);
});

const CHANGES: Readonly<Record<string, (kept: Kept) => Kept>> = {
  "another sbx": (of) => ({ ...of, host: { ...of.host, build: "2" } }),
  "another user": (of) => {
    const caller = () => ({ ...ROOT, uid: 1000, setsGroups: false });
    return { ...of, host: { ...of.host, caller } };
  },
  ...Object.fromEntries(PROGRAMS.map((name) => [`another ${name}`, (of: Kept) => {
    // As an upgrade does: the same place, and here the same bytes, too.
    copyFileSync(at(name), at("new"));
    renameSync(at("new"), at(name));
    return of;
  }])),
  "hardware that runs it": (of) => {
    return { ...of, machine: { ...of.machine, found: { accelerator: "kvm" } } as Machine };
  },
  "no counter": (of) => ({ ...of, machine: { ...of.machine, tscKHz: 0 } }),
  "more memory": (of) => ({ ...of, plan: { ...of.plan, memoryMiB: 1024 } }),
  "more processors": (of) => ({ ...of, plan: { ...of.plan, cpus: 3 } }),
  "a larger disk": (of) => {
    return { ...of, plan: { ...of.plan, disk: { ...of.plan.disk, bytes: 2 << 30 } } };
  },
  "no network": (of) => {
    const { network: _, ...plan } = of.plan;
    return { ...of, plan, cable: undefined };
  },
  "another directory": (of) => ({
    ...of,
    plan: { ...of.plan, mounts: [{ host: at("other"), guest: "/work", readOnly: false }] },
  }),
  "another place of it": (of) => ({
    ...of,
    plan: { ...of.plan, mounts: [{ host: at("work"), guest: "/src", readOnly: false }] },
  }),
  "a directory that is only read": (of) => ({
    ...of,
    plan: { ...of.plan, mounts: [{ host: at("work"), guest: "/work", readOnly: true }] },
  }),
  "no directory": (of) => ({ ...of, plan: { ...of.plan, mounts: [] } }),
  "a file of its own": (of) => ({ ...of, plan: { ...of.plan, files: [file("a")] } }),
};

test.each(Object.keys(CHANGES))(
  "%s is another machine, of which no QEMU is started",
  async (name) => {
    const saved = { key: await keyOf(kept()), calls: 7, tscKHz: 2_000_000, state: at("machine") };
    const change = CHANGES[name] ?? ((of) => of);
    const { plan, ...going } = change(kept());
    expect(await keyOf({ plan, ...going })).not.toBe(saved.key);
    const watcher = { notice: () => {}, running: () => {} };
    await expect(goOnFrom({ ...plan, saving: { ...plan.saving, from: saved } }, saved, {
      ...going,
      watcher,
    })).rejects.toMatchObject({ code: "MEMORY_UNSAVABLE" });
    expect(spawned).toBe(0);
  },
);

test("a file that is mounted alone is the one that it was", async () => {
  const withFile = (text: string, to = "/etc/app") => {
    const of = kept();
    return keyOf({ ...of, plan: { ...of.plan, files: [{ ...file(text), at: to }] } });
  };
  const key = await withFile("a");
  expect(await withFile("a")).toBe(key);
  expect(await withFile("b")).not.toBe(key);
  expect(await withFile("a", "/etc/other")).not.toBe(key);
});

test("a counter that runs otherwise is another machine", async () => {
  const { plan, ...going } = kept();
  const saved = { key: await keyOf({ plan, ...going }), calls: 7, state: at("machine") };
  const watcher = { notice: () => {}, running: () => {} };
  await expect(goOnFrom(plan, { ...saved, tscKHz: 2_100_000 }, { ...going, watcher })).rejects
    .toMatchObject({ message: expect.stringContaining("counter") });
  expect(spawned).toBe(0);
});

import { expect, test } from "bun:test";
import type { FileDaemon } from "../../lib/guest/qemu/file_daemon.ts";
import type { Machine } from "../../lib/guest/qemu/machine.ts";
import {
  launchOf,
  restoredLaunchOf,
  savableLaunchOf,
  savedLaunchOf,
} from "../../lib/guest/qemu/launch_of.ts";
import type { TransportFinding } from "../../lib/guest/qemu/transport.ts";
import { LINUX_QEMU } from "../../lib/host/linux/qemu.ts";
import { MAC_QEMU } from "../../lib/host/macos/qemu.ts";
import { NETWORK, PLAN } from "./plan.ts";

const MACHINE: Machine = {
  architecture: "x64",
  platform: LINUX_QEMU,
  program: "/usr/bin/qemu-system-x86_64",
  found: { accelerator: "tcg", reason: "no reason" },
  launcher: "/cache/netstack",
  kernel: "/cache/vmlinux",
  initramfs: "/cache/initramfs",
  tscKHz: 1,
};
const ROOT = { uid: 0, capabilities: -1n, uidMap: "0 0 4294967295", gidMap: "0 0 4294967295" };
const CALLER = { ...ROOT, setsGroups: true };

const BY_9P: TransportFinding = { transport: "9p", reason: "no reason", fix: "none" };

const launch = (
  plan: Partial<typeof PLAN> & { network?: typeof NETWORK } = {},
  cable?: Parameters<typeof launchOf>[1],
) => launchOf({ ...PLAN, ...plan }, cable, MACHINE, BY_9P, CALLER, () => "public");

test("the root's shares go by path, the user's by what was opened for them, in the plan's order", () => {
  const { argv, files, directories } = launch();
  expect(files).toEqual(["/cache/vmlinux", "/cache/initramfs"]);
  expect(directories).toEqual(["/data/in", "/data/out"]);
  const shares = argv.filter((word) => word.startsWith("local,"))
    .map((word) => /path=([^,]*).*?(readonly=on)?$/.exec(word)?.slice(1).map(String));
  expect(shares).toEqual([
    ["/srv/tree/usr", "readonly=on"],
    ["/srv/tree/opt", "readonly=on"],
    ["/proc/self/fd/7", "readonly=on"],
    ["/proc/self/fd/8", "undefined"],
  ]);
  const tags = [...argv.join(" ").matchAll(/mount_tag=(\w+)/g)].map(([, tag]) => tag);
  expect(tags).toEqual(["tree0", "tree1", "mount0", "mount1"]);
});

test("a disk is inherited between what the guest boots from and what is mounted", () => {
  const disk = { bytes: 1 << 30, path: "/srv/box.disk" };
  const { argv, files } = launch({ disk });
  expect(files).toHaveLength(2);
  const line = argv.join(" ");
  expect(line).toContain("-add-fd fd=7,");
  expect(line).toContain("cache.no-flush=off");
  expect(line.match(/path=\/proc\/self\/fd\/\d+/g))
    .toEqual(["path=/proc/self/fd/8", "path=/proc/self/fd/9"]);
  expect(line).not.toContain("/srv/box.disk");
});

test("the cable is a descriptor that is inherited or a socket that is named, and nothing else", () => {
  const inherited = launch({ network: NETWORK }, { fd: 33 });
  expect(inherited.framesFd).toBe(33);
  expect(inherited.argv.join(" ")).toMatch(/addr\.type=fd,addr\.str=4 .*mac=02:00:00:00:00:02/);
  const named = launch({ network: NETWORK }, { socket: "/run/net,1" });
  expect(named.framesFd).toBeUndefined();
  expect(named.argv.join(" ")).toContain("addr.type=unix,addr.path=/run/net,,1 ");
  for (const none of [launch(), launch({ network: NETWORK })]) {
    expect(none.framesFd).toBeUndefined();
    expect(none.argv.join(" ")).not.toContain("-netdev");
  }
});

test("size and identity are the plan's and the caller's", () => {
  const { argv, identity, launcher } = launch();
  expect(argv[argv.indexOf("-m") + 1]).toBe("512M");
  expect(argv[argv.indexOf("-smp") + 1]).toBe("2");
  expect(identity.user).toBe("own");
  expect(launcher).toBe("/cache/netstack");
});

test("QEMU may open by path what it was handed, and writes to what the guest may write to", () => {
  const fds = (...numbers: readonly number[]) => numbers.map((fd) => `/proc/self/fd/${fd}`);
  const { reads, writes, connects } = launch();
  expect(reads).toEqual([...fds(5, 6), "/srv/tree/usr", "/srv/tree/opt", ...fds(7)]);
  expect(writes).toEqual(fds(8));
  expect(connects).toBe(false);
  expect(launch({ network: NETWORK }, { socket: "/run/net" }).connects).toBe(true);
});

test("what goes on from a template writes to no file, and what makes one says where its state goes", () => {
  const saved = (use: "copy" | "write") => {
    const memory = { path: "/cache/memory", use };
    return savedLaunchOf(PLAN, MACHINE, CALLER, memory).launch;
  };
  expect([saved("copy"), saved("write")].map(({ readOnly, connects }) => [readOnly, connects]))
    .toEqual([[true, false], [false, true]]);
  for (const { identity, writes } of [saved("copy"), saved("write")]) {
    expect([identity.user, writes]).toEqual(["own", ["/proc/self/fd/7"]]);
  }
  expect(launch().readOnly).toBe(false); // a guest with mounts that it writes to
});

const DAEMON: FileDaemon = {
  path: "/usr/libexec/virtiofsd",
  dialect: "rust",
  version: "",
  isSavable: false,
};

test("with a file daemon QEMU has nothing of what the user named, and each daemon what its mount needs", () => {
  const { argv, directories, daemons, identity } = launchOf(
    PLAN,
    undefined,
    MACHINE,
    { transport: "virtiofs", daemon: DAEMON, files: 4096 },
    CALLER,
    ([mount]) => mount?.readOnly ? "public" : "writable",
  );
  expect(directories).toEqual([]);
  expect(identity).toEqual({ user: "own", capabilities: [] });
  const line = argv.join(" ");
  expect(line).not.toMatch(/\/data|fd\/[78]\b/);
  for (const part of ["=/srv/tree/usr,", "tag=tree1"]) expect(line).toContain(part);
  expect(line).toContain("-machine microvm,pcie=on,memory-backend=memory ");
  expect(line).toContain("-object memory-backend-memfd,id=memory,size=512M,share=on ");
  const served = /socket,id=(\w+),fd=(\d+) -device vhost-user-fs-pci,chardev=(\w+),tag=(\w+)/g;
  expect([...line.matchAll(served)].map(([, id, fd, chardev, tag]) => [id === chardev, fd, tag]))
    .toEqual([[true, "7", "mount0"], [true, "8", "mount1"]]);
  expect(daemons.map(({ directory, readOnly, identity }) => [directory, readOnly, identity]))
    .toEqual([
      ["/data/in", true, { user: "own", capabilities: [] }],
      ["/data/out", false, { capabilities: ["chown", "dac_override", "fowner"] }],
    ]);
  const kept = daemons.map(({ argv }) => argv.at(-1));
  expect(kept[0]).toContain("-chown:-dac_override:-fowner:-fsetid:-mknod:-setfcap:");
  expect(kept[1]).toBe("--modcaps=-fsetid:-mknod:-setfcap:-setgid:-setuid");
  // Without mounts nothing of the guest's memory is anybody's.
  const none = launchOf({ ...PLAN, mounts: [] }, undefined, MACHINE, BY_9P, CALLER, () => "public");
  expect(none.argv.join(" ")).not.toContain("memfd");
});

const TREE = { ...PLAN.root, shares: [{ path: "/srv/debian", at: "/", isPrivate: true as const }] };

test("a tree goes by what was opened for it, before the mounts, and root's machine may read all of it", () => {
  const { argv, directories, identity, daemons } = launch({ root: TREE });
  expect(directories).toEqual(["/srv/debian", "/data/in", "/data/out"]);
  expect(argv.join(" ")).not.toContain("/srv/debian");
  const shares = argv.filter((word) => word.startsWith("local,"));
  expect(shares[0]).toContain("path=/proc/self/fd/7,");
  expect(shares[0]).toContain("readonly=on");
  const tags = [...argv.join(" ").matchAll(/mount_tag=(\w+)/g)].map(([, tag]) => tag);
  expect(tags).toEqual(["tree0", "mount0", "mount1"]);
  expect(identity).toEqual({ capabilities: ["dac_read_search"] });
  expect(daemons).toEqual([]);
});

test("where daemons serve, one serves the tree, and the machine itself may read nothing", () => {
  const by: TransportFinding = { transport: "virtiofs", daemon: DAEMON, files: 1 << 20 };
  const plan = { ...PLAN, root: TREE, mounts: [] };
  const { argv, directories, identity, daemons } = launchOf(
    plan,
    undefined,
    MACHINE,
    by,
    CALLER,
    () => "public",
  );
  expect(directories).toEqual([]);
  expect(daemons).toMatchObject([{
    directory: "/srv/debian",
    readOnly: true,
    identity: { capabilities: ["dac_read_search"] },
  }]);
  expect(argv.join(" ")).toContain("vhost-user-fs-pci,chardev=share0,tag=tree0");
  expect(identity).toEqual({ user: "own", capabilities: [] });
});

test("where a file daemon serves, or QEMU itself writes, the memory is no template's any more", () => {
  const byDaemon: TransportFinding = { transport: "virtiofs", daemon: DAEMON, files: 9 };
  const goesOn = (by: TransportFinding, mounts = PLAN.mounts) =>
    restoredLaunchOf(
      { ...PLAN, mounts },
      undefined,
      MACHINE,
      by,
      CALLER,
      () => "public",
      { path: "/t/memory", hasRoot: true },
    );
  const reading = [{ host: "/data/in", guest: "/in", readOnly: true }];
  const copied = [{ host: "/data/in", guest: "/in", readOnly: true, as: "copy" as const }];
  const saved = savedLaunchOf(PLAN, MACHINE, CALLER, {
    path: "/t/memory",
    use: "write",
    directory: "/t",
  });
  expect(saved.devices).toEqual([]);
  for (
    const [{ launch, devices }, share, drivers] of [
      [goesOn(byDaemon), "on", ["vhost-user-fs-pci", "vhost-user-fs-pci"]],
      [goesOn(BY_9P), "on", ["virtio-9p-pci", "virtio-9p-pci"]],
      [goesOn(BY_9P, reading), "off", ["virtio-9p-pci"]],
      [goesOn(byDaemon, copied), "off", ["virtio-9p-pci"]],
      [goesOn(byDaemon, []), "off", []],
    ] as const
  ) {
    expect(launch.files.indexOf("/t/memory")).toBe(2);
    expect(launch.ownMemoryFd).toBe(share === "on" ? 7 : undefined);
    expect(launch.argv.join(" ")).toContain(`mem-path=/proc/self/fd/7,share=${share}`);
    expect(launch.readOnly).toBe(share === "off");
    expect(launch.writes.includes("/proc/self/fd/7")).toBe(share === "off");
    expect(devices.map(({ driver }) => driver)).toEqual([...drivers]);
  }
});

test("a machine without a root gets it once it goes on, its disk with it, and a memory of its own", () => {
  const saved = savedLaunchOf({ cpus: 2, memoryMiB: 512 }, MACHINE, CALLER, {
    path: "/t/memory",
    use: "write",
    directory: "/t",
  });
  expect(saved.launch.argv.join(" ")).not.toMatch(/-fsdev|-blockdev/);
  expect(saved.devices).toEqual([]);
  const goesOn = (plan: Partial<typeof PLAN>) =>
    restoredLaunchOf(
      { ...PLAN, mounts: [], ...plan },
      undefined,
      MACHINE,
      { transport: "virtiofs", daemon: DAEMON, files: 1 << 20 },
      CALLER,
      () => "public",
      { path: "/t/memory", hasRoot: false },
    );
  const devicesOf = (argv: readonly string[]) => argv.filter((_, at) => argv[at - 1] === "-device");
  const disk = { bytes: 1 << 30, path: "/srv/box.disk" };
  for (
    const [{ launch, devices }, drivers] of [
      [goesOn({ disk }), ["virtio-blk-pci", "virtio-9p-pci", "virtio-9p-pci"]],
      [goesOn({ root: TREE }), ["vhost-user-fs-pci"]],
    ] as const
  ) {
    // What has a place on the bus is what the saved machine has.
    expect(devicesOf(launch.argv)).toEqual(devicesOf(saved.launch.argv));
    expect(devices.map(({ driver }) => driver)).toEqual([...drivers]);
    expect(launch.argv.join(" ")).toContain("mem-path=/proc/self/fd/7,share=on");
    expect([launch.readOnly, launch.ownMemoryFd]).toEqual([false, 7]);
  }
  expect(goesOn({ disk }).launch.argv.join(" ")).toContain("-add-fd fd=8,set=0 -blockdev ");
});

test("where an open file is no path, QEMU gets the paths of what was opened", () => {
  const machine = { ...MACHINE, platform: MAC_QEMU };
  const { argv, files, directories, reads, writes } = launchOf(
    PLAN,
    undefined,
    machine,
    BY_9P,
    CALLER,
    () => "public",
  );
  const line = argv.join(" ");
  expect(line).not.toMatch(/\/(?:dev|proc\/self)\/fd/);
  expect(line).not.toContain("-sandbox");
  expect(line).toContain("-kernel /cache/vmlinux -initrd /cache/initramfs");
  expect([...line.matchAll(/path=([^,]*)/g)].map(([, path]) => path))
    .toEqual(["/srv/tree/usr", "/srv/tree/opt", "/data/in", "/data/out"]);
  expect({ files, directories }).toEqual({
    files: ["/cache/vmlinux", "/cache/initramfs"],
    directories: ["/data/in", "/data/out"],
  });
  expect(writes).toEqual(["/data/out"]);
  expect(reads).toContain("/data/in");
});

test("a machine that can be saved has nothing by 9p, and a file that its state goes to", () => {
  const daemon = { ...DAEMON, isSavable: true };
  const by: TransportFinding = { transport: "virtiofs", daemon, files: 1 << 20 };
  const saving = { state: "/state/dev/saving" };
  const disk = { bytes: 1 << 30, path: "/srv/box.disk" };
  const of = (from?: { key: string; calls: number; tscKHz: number; state: string }) =>
    savableLaunchOf(
      { ...PLAN, disk, saving: { ...saving, ...(from === undefined ? {} : { from }) } },
      undefined,
      MACHINE,
      by,
      CALLER,
      () => "public",
    );
  const { launch: { argv, daemons, channels, identity } } = of();
  const line = argv.join(" ");
  expect(line).not.toContain("9p");
  expect(line).toContain("memory-backend-memfd,");
  expect(line).toContain("-add-fd fd=7,set=0 ");
  expect(line).toContain("-add-fd fd=8,set=1 ");
  expect(line).toContain("socket,id=monitor,fd=13 -mon chardev=monitor,mode=control");
  expect(line).not.toContain("-incoming");
  expect([...line.matchAll(/chardev=\w+,tag=(\w+)/g)].map(([, tag]) => tag))
    .toEqual(["tree0", "tree1", "mount0", "mount1"]);
  expect(daemons.map(({ directory, readOnly }) => [directory, readOnly])).toEqual([
    ["/srv/tree/usr", true],
    ["/srv/tree/opt", true],
    ["/data/in", true],
    ["/data/out", false],
  ]);
  for (const { argv } of daemons) {
    expect(argv).toContain("--migration-verify-handles");
    expect(argv).toContain("--migration-on-error=abort");
  }
  expect([channels, identity.user]).toEqual([1, "own"]);
  // One that goes on is the same machine, and is told its state by a channel beside the monitor's.
  const goesOn = of({ key: "", calls: 7, tscKHz: 1, state: "/state/dev/machine/state" });
  expect(goesOn.launch.argv.filter((word) => !argv.includes(word))).toEqual(["-incoming", "defer"]);
  expect([goesOn.launch.channels, goesOn.stateFd]).toEqual([2, 14]);
  expect(goesOn.launch.argv.join(" ")).not.toContain("/state/");
});

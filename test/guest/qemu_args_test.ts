import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { SbxError } from "../../lib/base/errors.ts";
import { addedDevices, type MachineSpec, qemuArgv } from "../../lib/guest/qemu/args.ts";
import { assetPath } from "../../lib/host/assets.ts";

const SPEC: MachineSpec = {
  architecture: "x64",
  accelerator: "tcg",
  filtersCalls: true,
  cpus: 1,
  memoryMiB: 512,
  kernel: "/dev/fd/5",
  initramfs: "/dev/fd/6",
  tscKHz: 2_000_000,
  agentFd: 3,
  shares: [],
};

/** The value after an option. */
function valueOf(option: string, spec: Partial<MachineSpec>): string {
  const argv = qemuArgv({ ...SPEC, ...spec });
  return argv[argv.indexOf(option) + 1] ?? "";
}

test("the machine follows architecture, accelerator and what is known of the clock", () => {
  for (
    const [spec, machine, cpu, words, without] of [
      [{}, "microvm,pcie=on", "max,-erms,-fsrm", [
        "tsc_early_khz=2000000",
        "rodata=off",
        "mitigations=off",
      ], [
        "ttyAMA0",
      ]],
      [{ tscKHz: 0 }, "q35", "max,-erms,-fsrm", ["console=ttyS0"], ["tsc_early_khz"]],
      [{ accelerator: "kvm" }, "microvm,pcie=on", "host", [], [
        "tsc_early_khz",
        "rodata",
        "mitigations",
      ]],
      [{ accelerator: "hvf" }, "q35", "host", ["console=ttyS0"], ["tsc_early_khz", "rodata"]],
      [{ architecture: "arm64", accelerator: "hvf" }, "virt", "host", ["ttyAMA0"], ["tsc"]],
      [{ architecture: "arm64" }, "virt", "max,pauth-impdef=on", ["ttyAMA0"], ["rodata", "tsc"]],
    ] as const
  ) {
    expect(valueOf("-machine", spec)).toBe(machine);
    expect(valueOf("-cpu", spec)).toBe(cpu);
    const line = valueOf("-append", spec);
    for (const word of words) expect(line).toContain(word);
    for (const word of without) expect(line).not.toContain(word);
  }
});

test("QEMU refuses itself system calls where it can, and is not asked to elsewhere", () => {
  expect(valueOf("-sandbox", {})).toMatch(/^on,.*spawn=deny/);
  expect(qemuArgv({ ...SPEC, filtersCalls: false })).not.toContain("-sandbox");
});

test("what is added to a machine that goes on is behind its port, in the order that QEMU takes", () => {
  const added = [
    { tag: "mount0", daemonFd: 9 },
    { tag: "mount1", path: "/proc/self/fd/10", readOnly: true },
  ];
  const shares = [{ tag: "tree0", path: "/usr", readOnly: true }];
  const saved = { path: "/m", use: "share", monitorFd: 8 } as const;
  const spec = { ...SPEC, shares, added, saved };
  const line = qemuArgv(spec).join(" ");
  // What has a place on the bus is what the saved machine has.
  const devices = (argv: readonly string[]) => argv.filter((_, at) => argv[at - 1] === "-device");
  const { added: _, ...alone } = spec;
  expect(devices(qemuArgv(spec))).toEqual(devices(qemuArgv(alone)));
  expect(line).toContain("-chardev socket,id=share1,fd=9");
  expect(line).toContain("-fsdev local,id=share2,path=/proc/self/fd/10,");
  expect(line).toContain("mem-path=/m,share=on");
  expect(line).toContain("-incoming defer");
  const place = { bus: "later", multifunction: true };
  expect(addedDevices(spec)).toEqual([
    { driver: "virtio-9p-pci", fsdev: "share2", mount_tag: "mount1", addr: "0.1", ...place },
    { driver: "vhost-user-fs-pci", chardev: "share1", tag: "mount0", addr: "0.0", ...place },
  ]);
  expect(addedDevices({ ...spec, added: added.slice(0, 1) })).toEqual([
    { driver: "vhost-user-fs-pci", chardev: "share1", tag: "mount0", bus: "later", addr: "0.0" },
  ]);
});

test("QEMU confines itself, adds nothing of its own, and has a network only when told", () => {
  for (const architecture of ["x64", "arm64"] as const) {
    const argv = qemuArgv({ ...SPEC, architecture });
    expect(argv).toContain("-nodefaults");
    expect(argv).toContain("-no-user-config");
    expect(valueOf("-sandbox", { architecture })).toMatch(
      /^on,.*elevateprivileges=deny,spawn=deny/,
    );
    expect(argv.join(" ")).not.toMatch(/-netdev|virtio-net/);
  }
  const network = { cable: { fd: 4 }, mac: "52:54:00:00:00:02" };
  expect(valueOf("-netdev", { network })).toContain("addr.str=4");
});

test("a share's path reaches QEMU as it is, or is refused", () => {
  const share = (path: string) => ({ shares: [{ tag: "t", path, readOnly: true }] });
  expect(valueOf("-fsdev", share("/a,b=c d"))).toContain("path=/a,,b=c d,");
  expect(valueOf("-fsdev", share("/a"))).toEndWith("readonly=on");
  for (const path of ["/a\nb", "/a\0b"]) {
    expect(() => valueOf("-fsdev", share(path))).toThrow(SbxError);
  }
});

test("a disk comes by its descriptor, as nothing but bytes, and its guest hears of every failure", () => {
  const argv = (kept: boolean) => qemuArgv({ ...SPEC, disk: { fd: 7, kept } }).join(" ");
  for (const kept of [false, true]) {
    expect(argv(kept)).toContain("-add-fd fd=7,set=0 ");
    expect(argv(kept)).toContain("driver=file,node-name=disk,filename=/dev/fdset/0,locking=on,");
    expect(argv(kept)).toContain("discard=unmap");
    expect(argv(kept)).toContain("virtio-blk-pci,drive=disk,werror=report,rerror=report");
  }
  // Only what outlives the machine is worth waiting for.
  expect(argv(true)).toContain("cache.no-flush=off");
  expect(argv(false)).toContain("cache.no-flush=on");
  expect(qemuArgv(SPEC).join(" ")).not.toMatch(/blk|blockdev/);
});

test("the guest's modules carry no signature, whose hashing a boot would pay for", async () => {
  const medium = readFileSync(await assetPath("initramfs"), "latin1");
  expect(medium).toContain("modules/9p.ko");
  expect(medium).not.toContain("~Module signature appended~");
});

import { expect, test } from "bun:test";
import { limaArgv } from "../../lib/guest/lima/args.ts";
import { readInstance } from "../../lib/guest/lima/instance.ts";
import { limaLink, limaMac } from "../../lib/guest/lima/link.ts";
import {
  type LimaFacts,
  pciClassesOf,
  requireProof,
  unprovenOf,
} from "../../lib/guest/lima/proof.ts";

const MAC = limaMac("0123456789abcdef0123456789abcdef\n", "/home/u/.lima/dev");
const INSTANCE = readInstance({
  name: "dev",
  dir: "/home/u/.lima/a,b",
  arch: "x86_64",
  cpus: 2,
  memory: 1536 << 20,
  config: {},
});
const MACHINE = { program: "/usr/bin/qemu", architecture: "x64", accelerator: "tcg" } as const;
const argvBy = (boot: Parameters<typeof limaArgv>[2]) => limaArgv(INSTANCE, MACHINE, boot, MAC);
const ARGV = argvBy({ by: "bios" });

const SOUND: LimaFacts = {
  argv: ARGV,
  network: `virtio-net-pci.0: index=0,type=nic,model=virtio-net-pci,macaddr=${MAC}\r\n` +
    " \\ net: index=0,type=stream,fd:4\r\n",
  pciClasses: [0x0600, 0x0200, 0x0100, 0x0601, 0x0106, 0x0c05],
  sockets: [1, 2, 3, 4].map((fd) => ({ fd, inode: String(100 + fd) })),
  networkSockets: ["7", "8"],
  cable: "104",
  mac: MAC,
};

test("a guest with one card on netstack's cable is proven", () => {
  expect(unprovenOf(SOUND)).toEqual([]);
  expect(() => requireProof(SOUND)).not.toThrow();
});

const more = (...words: string[]) => ({ argv: [...ARGV, ...words] });

const UNSOUND: readonly (readonly [string, Partial<LimaFacts>])[] = [
  ["a second backend", more("-netdev", "user,id=other")],
  ["another backend", {
    argv: ARGV.map((word) => word.startsWith("stream,") ? "user,id=net" : word),
  }],
  ["no backend", { argv: ARGV.filter((word) => word !== "-netdev") }],
  ["-nic", more("-nic", "user")],
  ["--nic", more("--nic", "user")],
  ["-net", more("-net", "user")],
  ["a file with options", more("-readconfig", "/x")],
  ["a changed option", more("-set", "netdev.net.type=user")],
  ["two cards", { network: SOUND.network + "x: index=1,type=nic,model=e1000\r\n" }],
  ["a card on a user network", { network: SOUND.network.replace("type=stream", "type=user") }],
  ["no card", { network: "" }],
  ["a card with another address", { network: SOUND.network.replace(MAC, "52:55:55:00:00:00") }],
  ["a second network controller", { pciClasses: [...SOUND.pciClasses, 0x0280] }],
  ["USB", { pciClasses: [...SOUND.pciClasses, 0x0c03] }],
  ["a cable to somebody else", { cable: "999" }],
  ["a cable elsewhere", { sockets: SOUND.sockets.filter(({ fd }) => fd !== 4) }],
  ["no monitor", { sockets: SOUND.sockets.filter(({ fd }) => fd !== 3) }],
  ["one socket more", { sockets: [...SOUND.sockets, { fd: 11, inode: "500" }] }],
  ["a socket on the internet", { networkSockets: ["104"] }],
];

test.each(UNSOUND)("one with %s is not", (_, facts) => {
  expect(unprovenOf({ ...SOUND, ...facts })).not.toEqual([]);
  expect(() => requireProof({ ...SOUND, ...facts })).toThrow(/^Cannot let the guest run: /);
});

test("devices behind bridges are counted, and what is no answer has none", () => {
  const device = (kind: number, more = {}) => ({ class_info: { class: kind }, ...more });
  const behind = { bus: {}, devices: [device(0x0200), device(0x0c03)] };
  const answer = [{ bus: 0, devices: [device(0x0600), device(0x0604, { pci_bridge: behind })] }];
  expect(pciClassesOf(answer)).toEqual([0x0600, 0x0604, 0x0200, 0x0c03]);
  for (const none of [null, {}, "x", [null], [{ devices: 5 }]]) {
    expect(pciClassesOf(none)).toEqual([]);
  }
  let deep: unknown = [];
  for (let depth = 0; depth < 10_000; depth++) deep = [{ devices: deep }];
  expect(pciClassesOf(deep)).toEqual([]);
});

test("the command line has one card and no default device, and disks are what they are said to be", () => {
  expect(ARGV).toContain("-nodefaults");
  expect(ARGV).toContain("-no-user-config");
  expect(ARGV).toContain("-S");
  expect(ARGV.join(" ")).toContain("format=raw,discard=unmap,file=/home/u/.lima/a,,b/disk");
  expect(ARGV[ARGV.indexOf("-m") + 1]).toBe("1536M");
  expect(ARGV).not.toContain("-kernel");
  const direct = argvBy({ by: "kernel", initrd: true, commandLine: "quiet a b" });
  expect(direct.slice(direct.indexOf("-kernel"), direct.indexOf("-kernel") + 6)).toEqual([
    "-kernel",
    "/home/u/.lima/a,b/kernel",
    "-append",
    "quiet a b",
    "-initrd",
    "/home/u/.lima/a,b/initrd",
  ]);
  expect(argvBy({ by: "uefi", firmware: "/fw" })).toContain(
    "if=pflash,format=raw,readonly=on,file=/fw",
  );
});

test("the card's address is the one that Lima writes into its cloud-init", () => {
  // sha256("abc/x"), as sha256sum says it.
  expect(limaMac(" abc\n", "/x")).toBe("52:55:55:b7:71:7e");
  expect(limaLink(MAC).guest).toMatchObject({ mac: MAC, ip4: "192.168.5.15" });
});

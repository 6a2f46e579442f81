/**
 * QEMU's command line. Pure.
 *
 * The recipe is the fastest that boots reliably: no default devices, the virtual machine without
 * firmware where its one trap can be avoided, and the guest's files by 9p from QEMU's own process, or
 * from file daemons that share the guest's memory.
 *
 * @module
 */
import { SbxError } from "../../base/errors.ts";
import type { Share } from "../plan.ts";
import { STATE_BEGINS } from "../saved.ts";
import type { Cable } from "../provider.ts";

/** Descriptors that QEMU inherits: the agent's port, its end of the virtual cable, and files. */
export const AGENT_FD = 3;
export const FRAMES_FD = 4;
export const FIRST_FILE_FD = 5;

/** What runs the guest's code. */
export type Accelerator = "kvm" | "hvf" | "tcg";

export type Architecture = "x64" | "arm64";

/**
 * `write`: a machine boots, and the file is its memory. In the others it goes on from there: with `copy`
 * what it changes is its own, page by page; with `share` the whole file is, so that file daemons can
 * have it, too.
 */
export type MemoryUse = "write" | "copy" | "share";

/** A machine whose memory is a file, so that it can be saved, or that goes on from one that was. */
export interface SavedMemory {
  /** Of exactly the memory's size. */
  readonly path: string;
  /** The machine boots, and the file is its memory; or it waits to be told its state. */
  readonly use: MemoryUse;
  /** Descriptor of QEMU's monitor (QMP). */
  readonly monitorFd: number;
}

/** A machine that can be saved while it runs. */
export interface SavableMachine {
  /** Descriptor of QEMU's monitor (QMP). */
  readonly monitorFd: number;
  /** Descriptor of the file that its state goes to, open for writing. */
  readonly stateFd: number;
  /** It waits to be told its state, in the place of a boot. */
  readonly incoming: boolean;
}

/** What its state goes to, as QEMU calls it. */
export const STATE_URI = `file:/dev/fdset/1,offset=${STATE_BEGINS}`;

/** A directory of the host offered to the guest, which mounts it by its tag. */
export type ExportedShare =
  | Pick<Share, "tag" | "path" | "readOnly">
  /** A file daemon serves it, over a connection that QEMU inherits. */
  | { readonly tag: string; readonly daemonFd: number };

export interface MachineSpec {
  /** Path of QEMU. Absent: by its name. */
  readonly program?: string;
  readonly architecture: Architecture;
  readonly accelerator: Accelerator;
  /** Whether QEMU refuses itself the system calls that it does not need. */
  readonly filtersCalls: boolean;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly kernel: string;
  readonly initramfs: string;
  /** The host's time stamp counter, for an emulated x86 guest; 0 when it is not known. */
  readonly tscKHz: number;
  readonly agentFd: number;
  /** Absent: the guest has no network device. */
  readonly network?: { readonly cable: Cable; readonly mac: string };
  /** Those that the machine has from the beginning. */
  readonly shares: readonly ExportedShare[];
  /** Those whose devices come once it goes on ({@link addedDevices}). Absent: none. */
  readonly added?: readonly ExportedShare[];
  /** An open file, whose device comes then, too. Absent: no disk. */
  readonly disk?: { readonly fd: number; readonly kept: boolean };
  /** Absent: the machine boots, and cannot be saved before it is anybody's. */
  readonly saved?: SavedMemory;
  /** Absent: it cannot be saved while it runs. */
  readonly savable?: SavableMachine;
}

/**
 * What a guest that lives for one command can do without: self tests, module signatures and kprobe
 * set-up are a third of an emulated boot. `reboot=t` with `-no-reboot` ends QEMU at once when the
 * agent is done or dies.
 */
const COMMAND_LINE = [
  "quiet",
  "panic=-1",
  "reboot=t",
  "cryptomgr.notests",
  "noreplace-smp",
  "no_timer_check",
  "audit=0",
  "lsm=",
  "random.trust_cpu=on",
  "initcall_blacklist=init_kprobe_trace,load_system_certificate_list,ima_init,init_evm,init_encrypted",
];

/**
 * Protecting the kernel's code from itself, and checking every page for it, is a fifth of an emulated
 * boot; what keeps its own programs from reading it by way of the processor's guesses is a twentieth of all that
 * it does. Commands are root in the guest anyway.
 */
const EMULATED = ["rodata=off", "mitigations=off"];

/**
 * Nobody in the guest looks after the port: its agent says when there is something new. What would, waits
 * for a tenth of a second and more for a link to settle that is none.
 */
const WITH_PORT = ["pcie_ports=compat"];

/** Elsewhere than on Linux QEMU does not start with it. */
const FILTER = [
  "-sandbox",
  "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
];

/** By it the guest says which of its memory is free again, and QEMU gives that back to this machine. */
const BALLOON = "virtio-balloon-pci,free-page-reporting=on";

/** The program for an architecture. */
export function qemuProgram(architecture: Architecture): string {
  return architecture === "arm64" ? "qemu-system-aarch64" : "qemu-system-x86_64";
}

/**
 * The whole argument vector, program first.
 *
 * @throws SbxError USAGE when a path cannot be handed to QEMU.
 */
export function qemuArgv(spec: MachineSpec): string[] {
  const argv = [
    spec.program ?? qemuProgram(spec.architecture),
    "-nodefaults",
    "-no-user-config",
    "-no-reboot",
    "-display",
    "none",
    ...(spec.filtersCalls ? FILTER : []),
    "-machine",
    machine(spec),
    "-accel",
    spec.accelerator === "tcg" ? "tcg,thread=multi" : spec.accelerator,
    "-cpu",
    cpu(spec),
    "-smp",
    String(spec.cpus),
    "-m",
    `${spec.memoryMiB}M`,
    ...memoryArgv(spec),
    "-kernel",
    spec.kernel,
    "-initrd",
    spec.initramfs,
    "-append",
    commandLine(spec),
    "-serial",
    "stdio",
    "-device",
    "virtio-serial-pci",
    "-chardev",
    `socket,id=agent,fd=${spec.agentFd}`,
    "-device",
    "virtserialport,chardev=agent,name=sbx",
    "-device",
    BALLOON,
  ];
  if (spec.network !== undefined) {
    const { cable, mac } = spec.network;
    argv.push("-netdev", `stream,id=net,server=off,${addressOf(cable)}`);
    argv.push("-device", `virtio-net-pci,netdev=net,mac=${mac},romfile=`);
  }
  if (spec.disk !== undefined) {
    argv.push(...diskArgv(spec.disk));
    if (!goesOn(spec)) argv.push("-device", optionOf(DISK));
  }
  for (const [index, share] of spec.shares.entries()) {
    argv.push(...backendArgv(share, index), "-device", optionOf(deviceOf(share, index)));
  }
  if (spec.saved !== undefined) argv.push("-device", PORT, ...savedArgv(spec.saved));
  if (spec.savable !== undefined) argv.push(...savableArgv(spec.savable));
  for (const [index, share] of (spec.added ?? []).entries()) {
    argv.push(...backendArgv(share, spec.shares.length + index));
  }
  return argv;
}

function memoryArgv(spec: MachineSpec): string[] {
  const size = `size=${spec.memoryMiB}M`;
  if (spec.saved !== undefined) {
    const { path, use } = spec.saved;
    const share = use === "copy" ? "off" : "on";
    const file = `mem-path=${escaped(path)},share=${share}`;
    return ["-object", `memory-backend-file,id=${MEMORY},${size},${file}`];
  }
  return memoryIsShared(spec)
    ? ["-object", `memory-backend-memfd,id=${MEMORY},${size},share=on`]
    : [];
}

function savableArgv({ monitorFd, stateFd, incoming }: SavableMachine): string[] {
  return [
    ...["-add-fd", `fd=${stateFd},set=1`],
    ...["-chardev", `socket,id=monitor,fd=${monitorFd}`, "-mon", "chardev=monitor,mode=control"],
    ...(incoming ? ["-incoming", "defer"] : []),
  ];
}

function savedArgv({ use, monitorFd }: SavedMemory): string[] {
  return [
    ...["-chardev", `socket,id=monitor,fd=${monitorFd}`, "-mon", "chardev=monitor,mode=control"],
    ...(use === "write" ? [] : ["-incoming", "defer"]),
  ];
}

/**
 * microvm has no timer to measure the time stamp counter with, so under emulation a loaded host makes
 * its kernel hang; told the frequency it cannot. Told that the counter is reliable, which it is as the
 * host's own, it does not take timer ticks for the better clock: a loaded host loses those.
 *
 * QEMU makes it for KVM and emulation; HVF gets the machine that all know.
 */
function isMicrovm({ architecture, accelerator, tscKHz }: MachineSpec): boolean {
  return architecture === "x64" &&
    (accelerator === "kvm" || (accelerator === "tcg" && tscKHz > 0));
}

function machine(spec: MachineSpec): string {
  const kind = spec.architecture === "arm64" ? "virt" : isMicrovm(spec) ? "microvm,pcie=on" : "q35";
  const named = memoryIsShared(spec) || spec.saved !== undefined;
  return named ? `${kind},memory-backend=${MEMORY}` : kind;
}

/** The guest's memory as an object of QEMU's. */
const MEMORY = "memory";

/**
 * Where devices get into a machine that runs, since QEMU loads no state while it has a file daemon's. What
 * is behind the port has its power from the beginning.
 */
const PORT = "pcie-root-port,id=later,power_controller_present=off";

/** As many functions as a device has on a bus, and there is one device behind a port. */
export const MOST_ADDED = 8;

/** A device as QEMU's monitor takes it: its driver and its properties. */
export type Device = Readonly<Record<string, string | boolean>> & { readonly driver: string };

/**
 * Those of {@link MachineSpec.added} and of a disk, in the order in which QEMU takes them: whoever is first shows
 * the others.
 */
export function addedDevices(spec: MachineSpec): Device[] {
  const { shares, added = [], disk } = spec;
  const devices = [
    ...added.map((share, index) => deviceOf(share, shares.length + index)),
    ...(disk !== undefined && goesOn(spec) ? [DISK] : []),
  ];
  const several = devices.length > 1 ? { multifunction: true } : {};
  return devices.map((device, index) => ({
    ...device,
    bus: "later",
    addr: `0.${index}`,
    ...several,
  })).reverse();
}

/** From a template, which got its devices at the time. */
function goesOn({ saved }: MachineSpec): boolean {
  return saved !== undefined && saved.use !== "write";
}

function optionOf({ driver, ...properties }: Device): string {
  return [driver, ...Object.entries(properties).map(([name, value]) => `${name}=${value}`)].join();
}

/** File daemons read requests where the guest wrote them, so its memory has to be theirs, too. */
function memoryIsShared({ shares, added = [] }: MachineSpec): boolean {
  return [...shares, ...added].some((share) => "daemonFd" in share);
}

/**
 * `max` announces fast string instructions, which emulation runs byte by byte: file reads are three
 * times slower with them. Pointer authentication is slow the same way.
 *
 * QEMU 10 (7.2 does not) announces those for short moves, FSRM, apart from the others, ERMS. Linux 6.1 hangs
 * early in its boot when it is told of FSRM alone: that takes memmove's own code for few bytes away, in trust
 * that ERMS puts some in its place.
 */
function cpu({ architecture, accelerator }: MachineSpec): string {
  if (accelerator !== "tcg") return "host";
  return architecture === "arm64" ? "max,pauth-impdef=on" : "max,-erms,-fsrm";
}

function commandLine(spec: MachineSpec): string {
  const console = spec.architecture === "arm64" ? "console=ttyAMA0" : "console=ttyS0";
  const emulated = spec.accelerator === "tcg" && spec.architecture === "x64" ? EMULATED : [];
  const tsc = spec.accelerator === "tcg" && isMicrovm(spec)
    ? [`tsc_early_khz=${spec.tscKHz}`, "tsc=reliable"]
    : [];
  const port = spec.saved === undefined ? [] : WITH_PORT;
  return [console, ...COMMAND_LINE, ...emulated, ...tsc, ...port].join(" ");
}

function addressOf(cable: Cable): string {
  return "fd" in cable
    ? `addr.type=fd,addr.str=${cable.fd}`
    : `addr.type=unix,addr.path=${escaped(cable.socket)}`;
}

/** A value of one of QEMU's comma-separated options. */
function escaped(path: string): string {
  if (/[\0\n]/.test(path)) {
    throw new SbxError("USAGE", "Cannot hand a path to QEMU: it holds a line break or NUL");
  }
  return path.replaceAll(",", ",,"); // QEMU's own escape
}

/**
 * `mapped-xattr` would need extended attributes on the user's files and `passthrough` root; with
 * `none` the guest's files belong to the user that runs QEMU.
 */
function backendArgv(share: ExportedShare, index: number): string[] {
  if ("daemonFd" in share) return ["-chardev", `socket,id=share${index},fd=${share.daemonFd}`];
  const { path, readOnly } = share;
  const options = [
    "local",
    `id=share${index}`,
    `path=${escaped(path)}`,
    "security_model=none",
    "multidevs=remap",
    ...(readOnly ? ["readonly=on"] : []),
  ];
  return ["-fsdev", options.join(",")];
}

function deviceOf(share: ExportedShare, index: number): Device {
  const backend = `share${index}`;
  return "daemonFd" in share
    ? { driver: "vhost-user-fs-pci", chardev: backend, tag: share.tag }
    : { driver: "virtio-9p-pci", fsdev: backend, mount_tag: share.tag };
}

/**
 * The file is given by its descriptor, since the user that QEMU becomes could not open it. It goes through
 * the host's page cache, so that QEMU's end loses nothing that the guest has written. Only a machine that
 * goes down does, and only what is kept outlives that: for it alone a flush of the guest's is carried out,
 * which is what makes fsync dear.
 *
 * What the guest discards is given back. Zeros are not looked for in all that it writes. When the host has
 * no room left the guest is told; QEMU would otherwise stop the machine until somebody makes some.
 */
function diskArgv({ fd, kept }: { readonly fd: number; readonly kept: boolean }): string[] {
  return [
    "-add-fd",
    `fd=${fd},set=0`,
    "-blockdev",
    "driver=file,node-name=disk,filename=/dev/fdset/0,locking=on,discard=unmap," +
    `cache.no-flush=${kept ? "off" : "on"}`,
  ];
}

const DISK: Device = {
  driver: "virtio-blk-pci",
  drive: "disk",
  werror: "report",
  rerror: "report",
};

/**
 * QEMU's command line. Pure.
 *
 * The recipe is the fastest that boots reliably: no default devices, the virtual machine without
 * firmware where its one trap can be avoided, and the guest's files by 9p from QEMU's own process.
 *
 * @module
 */
import { SbxError } from "../base/errors.ts";

/** Descriptors that QEMU inherits: the agent's port, its end of the virtual cable, and files. */
export const AGENT_FD = 3;
export const FRAMES_FD = 4;
export const FIRST_FILE_FD = 5;

/** What runs the guest's code. */
export type Accelerator = "kvm" | "hvf" | "tcg";

export type Architecture = "x64" | "arm64";

/** A directory of the host offered to the guest. */
export interface Share {
  /** The guest mounts it by this name. */
  readonly tag: string;
  readonly path: string;
  readonly readOnly: boolean;
}

export interface MachineSpec {
  readonly architecture: Architecture;
  readonly accelerator: Accelerator;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly kernel: string;
  readonly initramfs: string;
  /** The host's time stamp counter, for an emulated x86 guest; 0 when it is not known. */
  readonly tscKHz: number;
  readonly agentFd: number;
  /** Absent: the guest has no network device. */
  readonly network?: { readonly fd: number; readonly mac: string };
  readonly shares: readonly Share[];
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
 * boot. Commands are root in the guest anyway.
 */
const EMULATED = ["rodata=off"];

/** The program for an architecture. */
export function qemuProgram(architecture: Architecture): string {
  return architecture === "arm64" ? "qemu-system-aarch64" : "qemu-system-x86_64";
}

/**
 * The whole argument vector, program first.
 *
 * @throws SbxError USAGE when a shared path cannot be handed to QEMU.
 */
export function qemuArgv(spec: MachineSpec): string[] {
  const argv = [
    qemuProgram(spec.architecture),
    "-nodefaults",
    "-no-user-config",
    "-no-reboot",
    "-display",
    "none",
    "-sandbox",
    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
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
  ];
  if (spec.network !== undefined) {
    const { fd, mac } = spec.network;
    argv.push("-netdev", `stream,id=net,server=off,addr.type=fd,addr.str=${fd}`);
    argv.push("-device", `virtio-net-pci,netdev=net,mac=${mac},romfile=`);
  }
  for (const [index, share] of spec.shares.entries()) argv.push(...shareArgv(share, index));
  return argv;
}

/**
 * microvm has no timer to measure the time stamp counter with, so under emulation a loaded host makes
 * its kernel hang; told the frequency it cannot.
 */
function isMicrovm({ architecture, accelerator, tscKHz }: MachineSpec): boolean {
  return architecture === "x64" && (accelerator !== "tcg" || tscKHz > 0);
}

function machine(spec: MachineSpec): string {
  if (spec.architecture === "arm64") return "virt";
  return isMicrovm(spec) ? "microvm,pcie=on" : "q35";
}

/**
 * `max` announces fast string instructions, which emulation runs byte by byte: file reads are three
 * times slower with them. Pointer authentication is slow the same way.
 */
function cpu({ architecture, accelerator }: MachineSpec): string {
  if (accelerator !== "tcg") return "host";
  return architecture === "arm64" ? "max,pauth-impdef=on" : "max,-erms";
}

function commandLine(spec: MachineSpec): string {
  const console = spec.architecture === "arm64" ? "console=ttyAMA0" : "console=ttyS0";
  const emulated = spec.accelerator === "tcg" && spec.architecture === "x64" ? EMULATED : [];
  const tsc = spec.accelerator === "tcg" && isMicrovm(spec) ? [`tsc_early_khz=${spec.tscKHz}`] : [];
  return [console, ...COMMAND_LINE, ...emulated, ...tsc].join(" ");
}

/**
 * `mapped-xattr` would need extended attributes on the user's files and `passthrough` root; with
 * `none` the guest's files belong to the user that runs QEMU.
 */
function shareArgv({ tag, path, readOnly }: Share, index: number): string[] {
  if (/[\0\n]/.test(path)) {
    throw new SbxError("USAGE", "Cannot share a directory: its path holds a line break or NUL");
  }
  const options = [
    "local",
    `id=share${index}`,
    `path=${path.replaceAll(",", ",,")}`, // QEMU's own escape
    "security_model=none",
    "multidevs=remap",
    ...(readOnly ? ["readonly=on"] : []),
  ];
  return [
    "-fsdev",
    options.join(","),
    "-device",
    `virtio-9p-pci,fsdev=share${index},mount_tag=${tag}`,
  ];
}

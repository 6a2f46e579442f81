/**
 * How QEMU is started for a plan. Pure.
 *
 * @module
 */
import {
  carriedShares,
  type GuestMount,
  type GuestPlan,
  namedShares,
  rootShares,
  type Share,
  transportOf,
} from "../plan.ts";
import type { Cable } from "../provider.ts";
import {
  addedDevices,
  AGENT_FD,
  type Device,
  FIRST_FILE_FD,
  FRAMES_FD,
  type MachineSpec,
  type MemoryUse,
  qemuArgv,
} from "./args.ts";
import { fileDaemonArgv } from "./file_daemon.ts";
import { type Caller, type FilesNeeded, identityOf } from "./identity.ts";
import type { QemuLaunch } from "./launch.ts";
import type { Machine } from "./machine.ts";
import type { TransportFinding } from "./transport.ts";

export const NO_MOUNTS: TransportFinding = {
  transport: "9p",
  reason: "nothing is mounted",
  fix: "",
};

/** What the machine is made for: a whole plan has more, none of which gets into a command line. */
export type MachinePlan =
  & Pick<GuestPlan, "cpus" | "memoryMiB" | "mounts" | "disk" | "saving">
  & { readonly root: Shares }
  & { readonly network?: { readonly mac: string } };

type Shares = Pick<GuestPlan["root"], "shares">;

/** The memory of a machine that is saved, or that goes on from one that was. */
export interface MemoryFile {
  readonly path: string;
  readonly use: MemoryUse;
  /** Whether the guest's root is in it. */
  readonly hasRoot: boolean;
  /** Where the machine's state goes to; absent: it comes from a channel. */
  readonly directory?: string;
}

/** The channels of such a machine, in their order: its monitor, and where its state comes from. */
const CHANNELS = { write: 1, copy: 2, share: 2 } as const;

/** Behind what the machine boots from. */
const MEMORY_FD = FIRST_FILE_FD + 2;

/** What goes into one, by the numbers that QEMU has for it. */
export interface MachineLaunch {
  readonly launch: QemuLaunch;
  /** Of a machine that goes on: the descriptor with its state. Of one that is saved: the directory's. */
  readonly stateFd: number;
  /** To be added, in this order, to a machine that goes on, once it does. */
  readonly devices: readonly Device[];
}

export function launchOf(
  plan: MachinePlan,
  cable: Cable | undefined,
  machine: Machine,
  by: TransportFinding,
  caller: Caller,
  needed: (mounts: readonly GuestMount[]) => FilesNeeded,
): QemuLaunch {
  return machineLaunch(plan, cable, machine, by, caller, needed).launch;
}

/** The same for a machine that can be saved while it runs, or goes on from one that was. */
export function savableLaunchOf(
  ...about: Parameters<typeof launchOf>
): Pick<MachineLaunch, "launch" | "stateFd"> {
  return machineLaunch(...about);
}

/** The same for a machine that is saved. It has no mounts and no disk, and may have no root yet. */
export function savedLaunchOf(
  { cpus, memoryMiB, root, network }: Pick<MachinePlan, "cpus" | "memoryMiB" | "network"> & {
    readonly root?: Shares;
  },
  machine: Machine,
  caller: Caller,
  memory: Omit<MemoryFile, "hasRoot">,
): MachineLaunch {
  const shares = root ?? { shares: [] };
  const plan = { cpus, memoryMiB, root: shares, mounts: [], ...(network && { network }) };
  const cable = network === undefined ? undefined : "unplugged";
  const saved = { ...memory, hasRoot: root !== undefined };
  return machineLaunch(plan, cable, machine, NO_MOUNTS, caller, () => "public", saved);
}

/** The same for a machine that goes on from the memory at a path. */
export function restoredLaunchOf(
  plan: MachinePlan,
  cable: Cable | undefined,
  machine: Machine,
  by: TransportFinding,
  caller: Caller,
  needed: (mounts: readonly GuestMount[]) => FilesNeeded,
  memory: Pick<MemoryFile, "path" | "hasRoot">,
): MachineLaunch {
  // A QEMU that changes files of this machine could change what others map of the template.
  const changes = plan.disk !== undefined || plan.mounts.some(({ readOnly }) => !readOnly);
  const use = changes || namedShares(plan).some((share) => isServed(share, by)) ? "share" : "copy";
  return machineLaunch(plan, cable, machine, by, caller, needed, { ...memory, use });
}

/** Whether a file daemon serves it; else QEMU does. */
function isServed(mount: Pick<GuestMount, "as">, by: TransportFinding): boolean {
  return transportOf(mount, by).transport === "virtiofs";
}

function machineLaunch(
  plan: MachinePlan,
  cable: Cable | "unplugged" | undefined,
  machine: Machine,
  by: TransportFinding,
  caller: Caller,
  needed: (mounts: readonly GuestMount[]) => FilesNeeded,
  memory?: MemoryFile,
): MachineLaunch {
  const { openFiles, filtersCalls } = machine.platform;
  const opened = (fd: number, path: string) =>
    openFiles === undefined ? path : `${openFiles}/${fd}`;
  const [kernel, initramfs] = [
    opened(FIRST_FILE_FD, machine.kernel),
    opened(FIRST_FILE_FD + 1, machine.initramfs),
  ];
  const memoryPath = memory === undefined ? "" : opened(MEMORY_FD, memory.path);
  const files = [
    machine.kernel,
    machine.initramfs,
    ...(memory === undefined ? [] : [memory.path]),
  ];
  const diskFd = FIRST_FILE_FD + files.length;
  const stateFd = plan.disk === undefined ? diskFd : diskFd + 1;
  const firstMount = plan.saving === undefined ? stateFd : stateFd + 1;
  const named = carriedShares(plan);
  const system = plan.saving === undefined
    ? rootShares(plan).filter(({ isPrivate }) => !isPrivate)
    : [];
  // What is everybody's to read has a path; the user that QEMU becomes may not see what somebody named.
  const served = named.filter((share) => isServed(share, by));
  const exported = named.filter((share) => !served.includes(share))
    .map((share, index) => ({ share, path: opened(firstMount + index, share.path) }));
  const firstDaemon = firstMount + exported.length;
  const shown = named.map((share) => {
    const { tag, readOnly } = share;
    const path = exported.find((each) => each.share === share)?.path;
    return path === undefined
      ? { tag, daemonFd: firstDaemon + served.indexOf(share) }
      : { tag, readOnly, path };
  });
  const daemons = by.transport === "9p" ? [] : served.map((share) => {
    const identity = identityOf(caller, filesOf([share], needed));
    return {
      argv: fileDaemonArgv(by.daemon, identity.capabilities, share.as !== undefined),
      directory: share.path,
      readOnly: share.readOnly,
      identity,
    };
  });
  const directories = [
    ...exported.map(({ share }) => share.path),
    ...(memory?.directory === undefined ? [] : [memory.directory]),
  ];
  const firstChannel = firstMount + directories.length + daemons.length;
  const inherited = inheritedOf(cable);
  const goesOn = memory !== undefined && memory.use !== "write";
  const incoming = plan.saving?.from !== undefined;
  const spec: MachineSpec = {
    program: machine.program,
    architecture: machine.architecture,
    accelerator: machine.found.accelerator,
    filtersCalls,
    cpus: plan.cpus,
    memoryMiB: plan.memoryMiB,
    kernel,
    initramfs,
    tscKHz: machine.tscKHz,
    agentFd: AGENT_FD,
    ...(goesOn
      ? memory.hasRoot
        ? { shares: system, added: shown }
        : { shares: [], added: [...system, ...shown] }
      : { shares: [...system, ...shown] }),
    ...(plan.disk === undefined
      ? {}
      : { disk: { fd: diskFd, kept: plan.disk.path !== undefined } }),
    ...(plan.network === undefined || cable === undefined ? {} : {
      network: {
        mac: plan.network.mac,
        cable: socketOf(cable) ?? { fd: FRAMES_FD },
      },
    }),
    ...(plan.saving === undefined ? {} : {
      savable: { monitorFd: firstChannel, stateFd, incoming },
    }),
    ...(memory === undefined ? {} : {
      saved: {
        path: memoryPath,
        use: memory.use,
        monitorFd: firstChannel,
      },
    }),
  };
  return {
    launch: {
      launcher: machine.launcher,
      argv: qemuArgv(spec),
      files,
      directories,
      daemons,
      channels: memory !== undefined
        ? CHANNELS[memory.use]
        : plan.saving === undefined
        ? 0
        : incoming
        ? 2
        : 1,
      ...(memory?.use === "share" ? { ownMemoryFd: MEMORY_FD } : {}),
      ...(inherited === undefined ? {} : { framesFd: inherited }),
      // What the user named is no business of QEMU's where daemons serve it.
      identity: identityOf(
        caller,
        exported.length === 0 ? "public" : filesOf(exported.map(({ share }) => share), needed),
      ),
      reads: [
        kernel,
        initramfs,
        ...system.map(({ path }) => path),
        ...exported.filter(({ share }) => share.readOnly).map(({ path }) => path),
      ],
      writes: [
        // What the copy that takes its place is, is on no file system.
        ...(memory === undefined || memory.use === "share" ? [] : [memoryPath]),
        ...exported.filter(({ share }) => !share.readOnly).map(({ path }) => path),
      ],
      readOnly: memory?.use === "copy",
      kvm: machine.found.accelerator === "kvm",
      connects: memory?.use === "write" || (cable !== undefined && socketOf(cable) !== undefined),
    },
    devices: addedDevices(spec),
    stateFd: memory?.use === "write" ? firstMount : firstChannel + 1,
  };
}

/** A whole system has files that its root alone may read, however open its top is. */
function filesOf(
  named: readonly Share[],
  needed: (mounts: readonly GuestMount[]) => FilesNeeded,
): FilesNeeded {
  const files = needed(
    named.map(({ path, at, readOnly }) => ({ host: path, guest: at, readOnly })),
  );
  return files === "public" && named.some(({ isPrivate }) => isPrivate) ? "private" : files;
}

function inheritedOf(cable: Cable | "unplugged" | undefined): number | "unplugged" | undefined {
  if (cable === undefined || cable === "unplugged") return cable;
  return "fd" in cable ? cable.fd : undefined;
}

function socketOf(cable: Cable | "unplugged"): Cable | undefined {
  return cable !== "unplugged" && "socket" in cable ? cable : undefined;
}

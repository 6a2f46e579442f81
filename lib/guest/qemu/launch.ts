/**
 * QEMU as a process, and what it needs of the host for that.
 *
 * @module
 */
import type { Duplex, Readable } from "node:stream";
import type { GuestDisk } from "../disk.ts";
import type { Exit } from "../guest.ts";
import type { MakeDatabase } from "../root/nss_database.ts";
import type { TryLock } from "../template/store.ts";
import type { FileDaemonLaunch } from "./file_daemon.ts";
import type { Caller, Identity } from "./identity.ts";
import type { QemuPlatform } from "./platform.ts";

/** QEMU as it runs. */
export interface QemuProcess {
  readonly pid: number;
  /** Those of its file daemons. */
  readonly daemonPids: readonly number[];
  /** The host's end of the guest's virtio-serial port. */
  readonly agent: Duplex;
  /** The host's ends of the launch's channels. */
  readonly channels: readonly Duplex[];
  /** The last of what the guest's kernel said on its console, and QEMU on stderr. */
  consoleTail(): string;
  readonly exited: Promise<Exit>;
  /** Settles with words for it when a file daemon is gone, as all are once QEMU is. */
  readonly unserved: Promise<string>;
  /** Ends QEMU and its file daemons. */
  kill(): void;
}

export interface QemuLaunch {
  /** The netstack binary, whose `launch` gives up privileges and becomes QEMU. */
  readonly launcher: string;
  /** QEMU and its arguments. */
  readonly argv: readonly string[];
  /**
   * Opened for reading here and inherited from {@link FIRST_FILE_FD} on: the user that QEMU becomes
   * need not be able to walk to them.
   */
  readonly files: readonly string[];
  /**
   * Absolute, without links; opened and inherited behind the files and the disk.
   *
   * @throws SbxError FILE_UNREADABLE when one is not there any more, or a link leads elsewhere
   */
  readonly directories: readonly string[];
  /** A disk, open for reading and writing; inherited behind the files, and closed here. Absent: none. */
  readonly diskFd?: number;
  /** A file that the machine's state goes to, open for writing; behind the disk, and closed here. Absent: none. */
  readonly stateFd?: number;
  /** Their connections are inherited behind the disk, where no directories are. */
  readonly daemons: readonly FileDaemonLaunch[];
  /** How many sockets to this process are inherited behind everything else. */
  readonly channels: number;
  /** The number that one of the files has for QEMU which a copy of it in memory takes the place of. */
  readonly ownMemoryFd?: number;
  /** Absent: no network device. `unplugged`: one whose cable leads nowhere. */
  readonly framesFd?: number | "unplugged";
  /** As whom it runs. */
  readonly identity: Identity;
  /** What it opens by path beyond its own programs and libraries, which is all that it can open. */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  /**
   * It changes no file, not even those that it opens for writing, which are a template's memory: what it
   * writes there is its own.
   */
  readonly readOnly: boolean;
  /** Whether KVM runs the guest's code: its device may be a group's, and it shows a processor as a file. */
  readonly kvm: boolean;
  /** Whether it connects to a unix socket by itself, instead of inheriting all its sockets. */
  readonly connects: boolean;
}

/** Files that sbx carries for the guest. The last two are for one with a disk. */
export type GuestAsset = "vmlinux" | "initramfs" | "disk" | "disk_modules";

export const BOOT: readonly GuestAsset[] = ["vmlinux", "initramfs"];

/** What QEMU needs of the machine that it runs on. */
export interface QemuHost {
  /** A path to one of the files sbx carries, unpacked if need be. */
  assetPath(name: "netstack" | GuestAsset): Promise<string>;
  readonly platform: QemuPlatform;
  /** Which boot of this machine it is; null where the system does not tell. */
  bootId(): string | null;
  /** Rejects when what the guest boots from is not what sbx carries. */
  requireSound(names: readonly GuestAsset[]): Promise<void>;
  cacheDir(): string;
  /**
   * Opens a guest's disk, and makes it first when there is none.
   *
   * @throws SbxError FILE_UNREADABLE
   */
  openDisk(disk: GuestDisk): Promise<number>;
  /**
   * Opens the file that a machine's state goes to, empty.
   *
   * @throws SbxError FILE_UNREADABLE
   */
  openState(path: string): number;
  /** Gives its room back. */
  emptyState(path: string): void;
  /** How many bytes are free where it is. @throws SbxError FILE_UNREADABLE */
  roomForState(path: string): number;
  /** A saved state, from where it begins in its file. */
  readState(path: string): Readable;
  /** A tar archive of the modules that the guest's kernel needs for it. */
  diskModules(): Promise<Uint8Array>;
  /** Makes a directory that nobody else may look into; rejects when the place is not ours. */
  requireOwn(directory: string): Promise<void>;
  /** Takes the lock at a path, which ends with this process; null when somebody has it. */
  readonly tryLock: TryLock;
  /** Which sbx this is. */
  readonly build: string;
  spawn(launch: QemuLaunch): QemuProcess;
  /** Starts a daemon and answers with what it, or its sandbox, failed at; null: it answered. */
  greet(launcher: string, daemon: FileDaemonLaunch, limitMs: number): Promise<string | null>;
  caller(): Caller;
  /** How many files this process could open after raising its limit as far as anybody may. */
  fileLimit(): number;
  readonly makeDatabase: MakeDatabase;
}

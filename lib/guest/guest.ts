/**
 * The guest as the rest of sbx sees it, whatever machine runs it.
 *
 * @module
 */
import type { Duplex } from "node:stream";
import type { SbxError } from "../base/errors.ts";
import type { MakeDatabase } from "./nss_database.ts";
import type { Accelerator } from "./qemu_args.ts";
import type { GuestTrust } from "./trust.ts";

/** One command to run. */
export interface ExecSpec {
  /** The program, looked up on the guest's PATH, and its arguments. */
  readonly argv: readonly string[];
  /** Added to the guest's own environment. */
  readonly env: Readonly<Record<string, string>>;
  /** Absent: the guest's home directory. */
  readonly cwd?: string;
  /** Gives the command a terminal. */
  readonly tty?: { readonly cols: number; readonly rows: number; readonly term: string };
  /** False: the command reads an empty input. */
  readonly stdin: boolean;
}

export interface GuestProcess {
  readonly stdin: WritableStream<Uint8Array>;
  readonly stdout: ReadableStream<Uint8Array>;
  /** Empty with a terminal. */
  readonly stderr: ReadableStream<Uint8Array>;
  /** Rejects with EXEC_NOT_FOUND, EXEC_NOT_EXECUTABLE, or what ended the guest. */
  readonly exit: Promise<{ readonly code?: number; readonly signal?: number }>;
  signal(number: number): void;
  resize(cols: number, rows: number): void;
}

export interface GuestMount {
  readonly host: string;
  readonly guest: string;
  readonly readOnly: boolean;
}

export interface GuestNetwork {
  readonly framesFd: number;
  readonly mac: string;
  readonly mtu: number;
  readonly guest4: string;
  readonly gateway4: string;
  readonly guest6: string;
  readonly gateway6: string;
}

export interface GuestSpec {
  readonly hostname: string;
  readonly cpus: number;
  readonly memoryMiB: number;
  readonly mounts: readonly GuestMount[];
  /** Absent: no network device. */
  readonly network?: GuestNetwork;
  /** Asked once the machine boots, which takes longer than the answer. */
  readonly trust: () => Promise<GuestTrust>;
  /** Lines worth telling a person. */
  readonly notice: (line: string) => void;
  /** A guest that is still starting when this settles is given up. */
  readonly ended?: Promise<unknown>;
}

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** QEMU as it runs. */
export interface QemuProcess {
  readonly pid: number;
  /** The host's end of the guest's virtio-serial port. */
  readonly agent: Duplex;
  /** The last of what the guest's kernel said on its console, and QEMU on stderr. */
  consoleTail(): string;
  readonly exited: Promise<Exit>;
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
  /** Absent: no network device. */
  readonly framesFd?: number;
  /** Absent: as the calling user. */
  readonly user?: { readonly uid: number; readonly gid: number };
}

/** What the guest needs of the machine it runs on. */
export interface GuestHost {
  /** A path to one of the files sbx carries, unpacked if need be. */
  assetPath(name: "netstack" | "vmlinux" | "initramfs"): Promise<string>;
  cacheDir(): string;
  spawnQemu(launch: QemuLaunch): QemuProcess;
  readonly makeDatabase: MakeDatabase;
}

export interface Guest {
  readonly accelerator: Accelerator;
  exec(spec: ExecSpec): GuestProcess;
  /** Settles when the machine is gone: with an error unless `stop` was called. */
  readonly exited: Promise<SbxError | undefined>;
  stop(): Promise<void>;
}
